import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { command, linux, type Requirement, suite } from '../helpers/needs.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const launcher = join(root, 'build/Release/launcher');
const objectFolder = join(root, 'build/Release/obj.target/launcher/native/launcher');

const localBuild: Requirement = {
  name: 'local build',
  check: () => (existsSync(objectFolder) ? undefined : `${objectFolder} is not there`),
};

function output(file: string, ...args: string[]): string {
  return execFileSync(file, args, { encoding: 'utf8' });
}

/** Names in the launcher's object files, of those whose source still exists. */
function symbols(kind: '--undefined-only' | '--defined-only'): Set<string> {
  const objects = readdirSync(join(root, 'native/launcher'))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(objectFolder, name.replace(/\.cc$/, '.o')));
  const lines = output('nm', '-P', '--extern-only', kind, ...objects).split('\n');
  return new Set(
    lines.filter((line) => /^\S+ \w/.test(line)).map((line) => line.split(' ')[0] ?? ''),
  );
}

suite('the launcher program', [linux, localBuild, command('nm'), command('readelf')], () => {
  const ours = (name: string) => name.startsWith('_ZN8ringfort');

  test('defines, beside its own functions, only what a compiler asks for', () => {
    const names = [...symbols('--defined-only')].filter((name) => !ours(name)).sort();
    expect(names).toEqual([
      'StartLauncher',
      '_start',
      'main',
      'memcmp',
      'memcpy',
      'memmove',
      'memset',
    ]);
  });

  test('needs nothing that it does not define: no C library, no allocator, no errno', () => {
    const defined = symbols('--defined-only');
    const needed = symbols('--undefined-only');
    expect(needed.size).toBeGreaterThan(10);
    expect([...needed].filter((name) => !defined.has(name))).toEqual([]);
  });

  test('is static: no interpreter, no shared library', () => {
    const segments = output('readelf', '-lW', launcher);
    expect(segments).toContain('LOAD');
    expect(segments).not.toMatch(/INTERP|DYNAMIC/);
    expect(output('readelf', '-dW', launcher)).not.toContain('NEEDED');
  });

  test('has no segment that is both writable and executable', () => {
    const lines = output('readelf', '-lW', launcher).split('\n');
    const flags = lines.flatMap(
      (line) => /^ {2}[A-Z_]+ .* ([R ][W ][E ]) +0x/.exec(line)?.[1] ?? [],
    );
    expect(flags).toContain('R E');
    expect(flags.filter((flag) => flag.includes('W') && flag.includes('E'))).toEqual([]);
    expect(lines.find((line) => line.includes('GNU_STACK'))).toContain(' RW ');
  });

  test('has nothing of the tests’ builds: no stop points, no faults', () => {
    const names = [...symbols('--defined-only'), ...symbols('--undefined-only')];
    // `Ask` is what a test's build puts between the launcher and the kernel (syscalls.h).
    expect(names.filter((name) => /StopAt|TakeStop|8ringfort3Ask/.test(name))).toEqual([]);
    const program = readFileSync(launcher);
    expect(['.faults', 'stop:'].filter((text) => program.includes(text))).toEqual([]);
    const built = buildStoppingLauncher();
    const theirs = readFileSync(built);
    rmSync(dirname(built), { recursive: true });
    expect(['.faults', 'stop:'].filter((text) => theirs.includes(text))).toHaveLength(2);
  });
});
