import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cgroups, command, linux, suite, userns } from '../helpers/needs.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const buildMs = 300_000;

let work: string;
let app: string;
let packed: string[];

/** Runs a program outside of the npm that runs this suite, and without any network for npm. */
function call(cwd: string, file: string, ...args: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    npm_config_cache: join(work, 'cache'),
    npm_config_offline: 'true',
  };
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function succeed(cwd: string, file: string, ...args: string[]): string {
  const { status, stdout, stderr } = call(cwd, file, ...args);
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A copy of the tree, so that the prebuild does not take the build from under other suites. */
function copyTree(to: string): void {
  mkdirSync(to);
  const sources = [
    'bin',
    'lib',
    'native',
    'scripts',
    'dist',
    'test',
    'docs',
    'examples',
    'binding.gyp',
    'package.json',
  ];
  for (const name of [...sources, 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']) {
    cpSync(join(root, name), join(to, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
}

/** Packs the copy and its dependencies, and installs them in an empty folder without scripts. */
function packAndInstall(tree: string): void {
  const dependencies = ['commander', 'node-addon-api'].map((name) =>
    join(root, 'node_modules', name),
  );
  const output = succeed(work, 'npm', 'pack', '--ignore-scripts', '--json', tree, ...dependencies);
  const tarballs = JSON.parse(output) as { filename: string; files: { path: string }[] }[];
  packed = tarballs[0]?.files.map((file) => file.path) ?? [];
  const files = tarballs.map(({ filename }) => join(work, filename));
  succeed(app, 'npm', 'install', '--prefix', app, '--ignore-scripts', ...files);
}

suite(
  'the package, installed with --ignore-scripts',
  [linux, userns, cgroups, command('npm'), command('make')],
  () => {
    beforeAll(() => {
      work = mkdtempSync(join(tmpdir(), 'ringfort-package-'));
      app = join(work, 'app');
      mkdirSync(app);
      const tree = join(work, 'tree');
      copyTree(tree);
      succeed(tree, process.execPath, 'scripts/prebuild.cjs');
      packAndInstall(tree);
    }, buildMs);

    afterAll(() => rmSync(work, { recursive: true, force: true }));

    test('holds what a user needs, and nothing of the workshop', () => {
      const folders = new Set(packed.map((path) => path.split('/').slice(0, 2).join('/')));
      const rest = /^(native|prebuilds|docs|examples)\//;
      expect([...folders].filter((path) => !rest.test(path)).sort()).toEqual([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'bin/ringfort.mjs',
        'binding.gyp',
        'dist/lib',
        'package.json',
        'scripts/embed.cjs',
        'scripts/install.cjs',
        'scripts/nodeGyp.cjs',
      ]);
      for (const path of ['dist/lib/index.js', 'dist/lib/index.d.ts', 'native/steps.def']) {
        expect(packed).toContain(path);
      }
    });

    test('has what its README links to, but for what that says is in the repository', () => {
      const text = readFileSync(join(app, 'node_modules/ringfort/README.md'), 'utf8');
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => path);
      const dead = links.filter(
        (path) => !packed.some((file) => `${file}/`.startsWith(`${path}/`)),
      );
      expect(links).toEqual(expect.arrayContaining(['SECURITY.md', 'examples/hello.ts']));
      expect(
        dead.filter((path) => !/^(lib|test)\/|^(ARCHITECTURE|CONTRIBUTING)\.md$/.test(path)),
      ).toEqual([]);
      const types = dead.filter((path) => path.startsWith('lib/'));
      for (const path of types) expect(packed).toContain(`dist/${path.replace(/\.ts$/, '.d.ts')}`);
    });

    test('carries an addon for this C library and an executable launcher', () => {
      const folder = join(app, 'node_modules/ringfort');
      const prebuilds = packed.filter((path) => path.startsWith('prebuilds/'));
      expect(prebuilds).toEqual([
        `prebuilds/linux-${process.arch}/launcher`,
        expect.stringMatching(
          new RegExp(`^prebuilds/linux-${process.arch}/ringfort\\.(glibc|musl)\\.node$`),
        ),
      ]);
      const launcher = join(folder, `prebuilds/linux-${process.arch}/launcher`);
      expect(statSync(launcher).mode & 0o777).toBe(0o755);
      const addon = readFileSync(join(folder, prebuilds[1] ?? ''));
      expect(addon.includes(readFileSync(launcher))).toBe(true);
      expect(existsSync(join(folder, 'build'))).toBe(false);
    });

    test('needs no build: its install script finds that the prebuild loads', () => {
      const folder = join(app, 'node_modules/ringfort');
      expect(call(folder, process.execPath, 'scripts/install.cjs')).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      expect(existsSync(join(folder, 'build'))).toBe(false);
    });

    test('runs a container', () => {
      const program = `
      import { run } from 'ringfort';
      const { exitCode, reason } = await run('true');
      console.log(JSON.stringify({ exitCode, reason }));`;
      const output = succeed(app, process.execPath, '--input-type=module', '--eval', program);
      expect(JSON.parse(output)).toEqual({ exitCode: 0, reason: 'exit' });
    });

    test('runs a container from the command line', () => {
      const program = join(app, 'node_modules/.bin/ringfort');
      const { status, stdout } = call(app, program, 'run', '--', 'sh', '-c', 'echo $$; exit 7');
      expect({ status, pid: Number(stdout) > 0 }).toEqual({ status: 7, pid: true });
    });

    test('brings its types', () => {
      writeFileSync(
        join(app, 'use.mts'),
        `import { run } from 'ringfort';
       import { sethostname } from 'ringfort/sys';
       export const use = async (): Promise<string> => {
         sethostname('other');
         return (await run('true')).stdout;
       };
       // @ts-expect-error: there is no such option
       export const wrong = run('true', [], { tiemout: 1 });`,
      );
      const flags = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--noEmit'];
      const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
      const tsc = join(root, 'node_modules/.bin/tsc');
      expect(call(app, tsc, ...flags, ...types, 'use.mts')).toMatchObject({
        status: 0,
        stdout: '',
      });
    });
  },
);
