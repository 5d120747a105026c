import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../../', import.meta.url));

interface Import {
  /** `node:fs`, a package's name, or a file below the root: `lib/errors.ts`. */
  target: string;
  typeOnly: boolean;
}

const statement =
  /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^;']*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

function importsOf(file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8');
  return [...source.matchAll(statement)].map(([, type, fixed, dynamic]) => {
    const name = fixed ?? dynamic ?? '';
    const target = name.startsWith('.') ? join(dirname(file), name).replace(/\.js$/, '.ts') : name;
    return { target, typeOnly: type !== undefined };
  });
}

const files = readdirSync(join(root, 'lib'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** `from: target` of every import in the folder that the rule does not allow. */
function offenders(folder: string, allowed: (found: Import, file: string) => boolean): string[] {
  return files
    .filter((file) => file.startsWith(folder))
    .flatMap((file) =>
      (imports.get(file) ?? [])
        .filter((found) => !allowed(found, file))
        .map((found) => `${file}: ${found.target}`),
    );
}

function below(...prefixes: string[]): (found: Import) => boolean {
  return (found) => prefixes.some((prefix) => found.target.startsWith(prefix));
}

/** Everything that is loaded at run time with the file: files and modules, each with the way to it. */
function loadedWith(file: string): Map<string, string> {
  const ways = new Map([[file, file]]);
  for (const [at, way] of ways) {
    for (const { target, typeOnly } of imports.get(at) ?? []) {
      if (!typeOnly && !ways.has(target)) ways.set(target, `${way} > ${target}`);
    }
  }
  return ways;
}

/** Modules that do nothing to the world. node:os is there for its constants. */
const pureModules = ['node:buffer', 'node:os', 'node:path', 'node:util'];

test('the reader of imports sees them', () => {
  expect(files.length).toBeGreaterThan(10);
  expect(imports.get('lib/native/load.ts')).toEqual(
    expect.arrayContaining([
      { target: 'node:module', typeOnly: false },
      { target: 'lib/errors.ts', typeOnly: false },
      { target: 'lib/native/binding.ts', typeOnly: true },
    ]),
  );
});

describe('imports point one way', () => {
  // The numbers of the kernel, one file each without imports of their own.
  const constants = ['lib/sys/constants.ts', 'lib/sys/processConstants.ts'];
  const common = ['lib/errors.ts', 'lib/kernelVersion.ts'];
  const typesOnly = (...prefixes: string[]) => {
    const within = below(...prefixes);
    return (found: Import) => found.typeOnly && within(found);
  };
  const any =
    (...rules: ((found: Import) => boolean)[]) =>
    (found: Import) =>
      rules.some((rule) => rule(found));

  test('plan knows only itself', () => {
    const allowed = below('lib/plan/', 'lib/errors.ts', ...constants, ...pureModules);
    expect(offenders('lib/plan/', allowed)).toEqual([]);
  });

  test('seccomp knows plan and spec; of the options only types', () => {
    const allowed = any(
      below('lib/seccomp/', 'lib/plan/', 'lib/spec/', ...common, ...pureModules),
      typesOnly('lib/options.ts'),
    );
    expect(offenders('lib/seccomp/', allowed)).toEqual([]);
  });

  test('policy knows plan, spec and seccomp; of the host only types', () => {
    const allowed = any(
      below('lib/policy/', 'lib/plan/', 'lib/spec/', 'lib/seccomp/'),
      below(...common, ...constants, ...pureModules),
      typesOnly('lib/options.ts', 'lib/cgroups/', 'lib/host/'),
    );
    expect(offenders('lib/policy/', allowed)).toEqual([]);
  });

  test('spec, host, cgroups, launcher, native and sys load nothing that stands above them', () => {
    const above = below('lib/run.ts', 'lib/launch.ts', 'lib/index.ts', 'lib/policy/');
    const allowed = (found: Import) => found.typeOnly || !above(found);
    const lower = ['spec', 'host', 'cgroups', 'launcher', 'native', 'sys'];
    expect(lower.flatMap((name) => offenders(`lib/${name}/`, allowed))).toEqual([]);
  });

  test('the command line knows only the public API', () => {
    const allowed = (found: Import) =>
      !found.target.startsWith('lib/') || below('lib/index.ts', 'lib/cli/')(found);
    expect(offenders('lib/cli/', allowed)).toEqual([]);
  });

  test('nothing but the command line imports the command line', () => {
    const cli = below('lib/cli/');
    expect(offenders('lib/', (found, file) => file.startsWith('lib/cli/') || !cli(found))).toEqual(
      [],
    );
  });
});

test.each(['lib/policy/', 'lib/plan/', 'lib/seccomp/'])('%s loads nothing that does I/O', (dir) => {
  const ways = files
    .filter((file) => file.startsWith(dir))
    .flatMap((file) =>
      [...loadedWith(file)]
        .filter(([target]) => !target.startsWith('lib/') && !pureModules.includes(target))
        .map(([, way]) => way),
    );
  expect(ways).toEqual([]);
});

test('the core has no run-time dependency', () => {
  const core = (found: Import, file: string) =>
    /^lib\/(cli|otel)\//.test(file) || /^(node:|lib\/)/.test(found.target);
  expect(offenders('lib/', core)).toEqual([]);
});

describe('ringfort/otel', () => {
  test('depends on the API of OpenTelemetry alone, and of ours on the channels', () => {
    const allowed = below(
      'lib/otel/',
      'lib/diagnostics.ts',
      'node:diagnostics_channel',
      '@opentelemetry/api',
    );
    expect(offenders('lib/otel/', allowed)).toEqual([]);
  });

  test('is imported by nothing else', () => {
    const otel = below('lib/otel/');
    const others = offenders('lib/', (found, file) => file.startsWith('lib/otel/') || !otel(found));
    expect(others).toEqual([]);
  });
});

test('only native/load.ts requires an addon', () => {
  const users = files.filter((file) =>
    (imports.get(file) ?? []).some(({ target }) => target === 'node:module'),
  );
  expect(users).toEqual(['lib/native/load.ts']);
});
