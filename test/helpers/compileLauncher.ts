import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Directory of the package. */
export const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

interface Target {
  target_name: string;
  cflags: string[];
  cflags_cc: string[];
  ldflags: string[];
  defines: string[];
}

/** How a launcher of a test's differs from the package's. */
export interface Variant {
  defines?: readonly string[];
  /** More sources. */
  more?: readonly string[];
}

const native = join(packageRoot, 'native');

/** Its sources, by name, and what binding.gyp has it compiled and linked with. */
function launcherTarget() {
  const gyp = JSON.parse(readFileSync(join(packageRoot, 'binding.gyp'), 'utf8')) as {
    targets: Target[];
  };
  const target = gyp.targets.find(({ target_name }) => target_name === 'launcher');
  if (target === undefined) throw new Error('binding.gyp has no target launcher');
  const names = readdirSync(join(native, 'launcher')).filter((name) => name.endsWith('.cc'));
  const { cflags, cflags_cc, defines, ldflags } = target;
  const compile = [...cflags, ...cflags_cc, ...defines.map((each) => `-D${each}`), `-I${native}`];
  return { names, compile, ldflags };
}

const source = (name: string) => join(native, 'launcher', name);

/** Compiles a launcher as binding.gyp does. */
export function compileLauncher(output: string, { defines = [], more = [] }: Variant): void {
  const { names, compile, ldflags } = launcherTarget();
  const added = defines.map((name) => `-D${name}`);
  const sources = [...names.map(source), ...more];
  execFileSync('c++', [...compile, ...added, ...ldflags, '-o', output, ...sources]);
}

/**
 * Compiles one in which some sources are others.
 * @param objects directory for what is compiled of the rest, which is used again
 * @param changed texts by the names of the sources
 */
export function compileChanged(
  output: string,
  objects: string,
  changed: ReadonlyMap<string, string>,
): void {
  const { names, compile, ldflags } = launcherTarget();
  const files = names.map((name) => {
    const text = changed.get(name);
    const object = text === undefined ? join(objects, `${name}.o`) : `${output}.${name}.o`;
    if (existsSync(object)) return object;
    const from = text === undefined ? [source(name)] : ['-x', 'c++', '-'];
    execFileSync('c++', [...compile, '-c', '-o', object, ...from], { input: text });
    return object;
  });
  execFileSync('c++', [...ldflags, '-o', output, ...files]);
}
