import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional: boolean }>;
};

/** Runs a module's text in a Node that believes itself on another platform. */
function elsewhere(platform: string, arch: string, args: string[]): string {
  const pretend = `
    Object.defineProperty(process, 'platform', { value: '${platform}' });
    Object.defineProperty(process, 'arch', { value: '${arch}' });`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, ...args],
    { cwd: root, encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function codeOf(entry: string, call: string): string {
  return `
    const ringfort = await import(${JSON.stringify(join(root, entry))});
    try {
      await ringfort.${call};
      console.log('nothing was thrown');
    } catch (error) {
      console.log(error.name, error.code);
    }`;
}

describe.each([
  ['darwin', 'arm64'],
  ['win32', 'x64'],
  ['linux', 'ppc64'],
])('on %s %s', (platform, arch) => {
  test('installs without a build', () => {
    const said = elsewhere(platform, arch, ['scripts/install.cjs']);
    expect(said).toBe(
      `ringfort: nothing to build on ${platform}-${arch}: containers need Linux on x64 or arm64\n`,
    );
  });

  test.each([
    ['dist/lib/index.js', `run('true')`],
    ['dist/lib/sys/index.js', `sethostname('other')`],
  ])('imports %s; the first use is a typed error', (entry, call) => {
    const script = codeOf(entry, call);
    const said = elsewhere(platform, arch, ['--input-type=module', '--eval', script]);
    expect(said).toBe('UnsupportedError ERR_UNSUPPORTED_PLATFORM\n');
  });
});

describe('package.json', () => {
  test('names files that exist', () => {
    const named = [
      ...Object.values(manifest.exports).flatMap((entry) =>
        typeof entry === 'string' ? [entry] : [entry.types, entry.default],
      ),
      ...Object.values(manifest.bin),
    ];
    expect(named.length).toBeGreaterThanOrEqual(6);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('has a program of whose arguments node takes none for its own', () => {
    const program = join(root, manifest.bin.ringfort ?? '');
    const args = ['run', '--no-such-option', '--env-file=/nonexistent'];
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({
      status: 125,
      stderr: "ringfort: unknown option '--no-such-option'\n",
    });
  });

  test('depends on what the command line and the build need, and on nothing else', () => {
    expect(Object.keys(manifest.dependencies).sort()).toEqual(['commander', 'node-addon-api']);
  });

  test('leaves to its users whether they have OpenTelemetry', () => {
    expect(Object.keys(manifest.peerDependencies)).toEqual(['@opentelemetry/api']);
    expect(manifest.peerDependenciesMeta).toEqual({ '@opentelemetry/api': { optional: true } });
  });
});
