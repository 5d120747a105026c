import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
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
  /** Directory with the sources. Default: native/ of the package. */
  native?: string;
  defines?: readonly string[];
  /** More sources. */
  more?: readonly string[];
}

/** Compiles a launcher as binding.gyp does. */
export function compileLauncher(output: string, { native, defines = [], more = [] }: Variant) {
  const gyp = JSON.parse(readFileSync(join(packageRoot, 'binding.gyp'), 'utf8')) as {
    targets: Target[];
  };
  const target = gyp.targets.find(({ target_name }) => target_name === 'launcher');
  if (target === undefined) throw new Error('binding.gyp has no target launcher');
  const include = native ?? join(packageRoot, 'native');
  const sources = readdirSync(join(include, 'launcher'))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(include, 'launcher', name));
  execFileSync('c++', [
    ...[...target.cflags, ...target.cflags_cc, ...target.ldflags],
    ...[...target.defines, ...defines].map((name) => `-D${name}`),
    `-I${include}`,
    ...['-o', output, ...sources, ...more],
  ]);
}
