import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createContainer, run } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import type { HungReport } from '../helpers/hungMount.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, ownCgroups, type Snapshot, snapshot } from '../helpers/leaks.js';
import { cgroups, command, type Requirement, root, suite } from '../helpers/needs.js';

const library = (name: string) => new URL(`../../lib/${name}.js`, import.meta.url).href;

const fuse: Requirement = {
  name: '/dev/fuse',
  check: () => (existsSync('/dev/fuse') ? undefined : 'not there'),
};

/** What a process in strange surroundings does; what came of it goes to the file REPORT. */
const script = (before: string) => `
import fs from 'node:fs';
import { createContainer, run, ContainerError } from '${library('index')}';
${before}
const result = { };
try {
  const { exitCode, stdout, reason } = await run('sh', ['-c', 'umask; echo out; exit 3'], {});
  const box = await createContainer({ command: ['sleep', '600'] });
  await box.fs.writeFile('/tmp/file', 'text');
  const program = box.spawn('cat', ['/tmp/file']);
  let seen = '';
  program.stdout.on('data', (chunk) => { seen += chunk; });
  const code = await new Promise((resolve, reject) => program.on('error', reject).on('close', resolve));
  const late = await run('sleep', ['600'], { timeout: 200 });
  const slow = await run('sleep', ['0.3'], { timeout: 60_000 });
  await box[Symbol.asyncDispose]();
  Object.assign(result, { exitCode, stdout, reason, seen, code, late: late.reason, slow: slow.reason });
} catch (error) {
  Object.assign(result, { typed: error instanceof ContainerError, message: String(error) });
}
fs.writeFileSync(process.env.REPORT, JSON.stringify(result));
process.exit(0);
`;

const usual = {
  exitCode: 3,
  stdout: '0022\nout\n',
  reason: 'exit',
  seen: 'text',
  code: 0,
  late: 'timeout',
  slow: 'exit',
};

suite('strange surroundings', [cgroups], () => {
  let directory: string;
  let before: Snapshot;
  beforeEach(async () => {
    await run('true');
    before = snapshot();
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true });
    await expectNoLeaks(before);
  });

  /** Runs the script in a process that a shell command, which ends in `"$@"`, has started. */
  function within(shell: string, first = '', env: NodeJS.ProcessEnv = {}): unknown {
    const report = join(directory, 'report');
    const node = [process.execPath, '--input-type=module', '--eval', script(first)];
    const { status } = spawnSync('sh', ['-ec', shell, 'sh', ...node], {
      env: { ...process.env, REPORT: report, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect(status).toBe(0);
    chmodSync(report, 0o600);
    return JSON.parse(readFileSync(report, 'utf8'));
  }

  test.each([
    ['SIGCHLD is ignored', `trap '' CHLD; exec "$@"`],
    ['descriptors 0 to 2 are closed', 'exec "$@" <&- >&- 2>&-'],
    ['SIGPIPE and SIGTERM are ignored', `trap '' PIPE TERM; exec "$@"`],
    [
      'it is the first to die of a want of memory',
      'echo 1000 >/proc/self/oom_score_adj; exec "$@"',
    ],
    [
      'nothing is in the environment but what Node needs',
      'exec env -i REPORT="$REPORT" XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" TMPDIR="$TMPDIR" HOME="$HOME" PATH="$PATH" "$@"',
    ],
  ])('%s: all is the same', (_, shell) => {
    expect(within(shell)).toEqual(usual);
  });

  test('umask 0777, and nothing there yet: all is the same', () => {
    const runtime = join(directory, 'run');
    mkdirSync(runtime, { mode: 0o700 });
    expect(within('umask 0777; exec "$@"', '', { XDG_RUNTIME_DIR: runtime })).toEqual(usual);
  });

  test('the working directory is gone: all is the same', () => {
    const first = `
      const gone = fs.mkdtempSync(process.env.TMPDIR ? process.env.TMPDIR + '/gone-' : '/tmp/gone-');
      process.chdir(gone);
      fs.rmdirSync(gone);`;
    expect(within('exec "$@"', first)).toEqual(usual);
  });

  test('signals that go to a whole service end Node alone, and what it has with it: all is the same', () => {
    const first = `
      const { supervisor } = await import('${library('supervisor')}');
      const { launcher } = await supervisor();
      for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'])
        process.kill(launcher.pid, signal);`;
    expect(within('exec "$@"', first)).toEqual(usual);
  });

  test('the clock of the day jumps by an hour, to and fro: timeouts do not see it', () => {
    const first = `
      const now = Date.now.bind(Date);
      let calls = 0;
      Date.now = () => now() + (calls++ % 2 === 0 ? 3_600_000 : -3_600_000);`;
    expect(within('exec "$@"', first)).toEqual(usual);
  });

  test.each([20, 24, 28, 32, 40])('ulimit -n %d: a typed error, or all is the same', (limit) => {
    // Node cannot load as many modules with so few.
    const first = `
      const { prlimit, Rlimit } = await import('${library('sys/index')}');
      prlimit(0, Rlimit.RLIMIT_NOFILE, { soft: ${limit}n, hard: ${limit}n });`;
    const found = within('exec "$@"', first) as { typed?: boolean };
    if (found.typed === undefined) expect(found).toEqual(usual);
    else expect(found).toMatchObject({ typed: true });
  });

  suite('a mount whose server never answers', [root, command('unshare'), fuse], () => {
    test('is an error; neither the event loop nor another container waits for it', () => {
      const helper = fileURLToPath(new URL('../helpers/hungMount.js', import.meta.url));
      const args = ['-m', '--propagation', 'private', process.execPath, helper, directory];
      const { status, stdout } = spawnSync('unshare', args, { encoding: 'utf8' });
      expect(status).toBe(0);
      const { ticks, ...report } = JSON.parse(stdout) as HungReport;
      expect(report).toEqual({
        codes: Array(3).fill('ERR_SOURCE_UNREACHABLE'),
        sibling: 'sibling\n',
        next: 'next\n',
      });
      expect(ticks).toBeGreaterThan(10);
    });
  });

  suite('a cgroup that resists', [root], () => {
    test('is retried, holds nobody up, and goes once it can', async () => {
      const id = newId();
      const box = await createContainer({ id });
      const dirs = ownCgroups()
        .map((parent) => join(parent, `ringfort-${id}`))
        .filter((path) => existsSync(path));
      const foreign = dirs.map((path) => join(path, 'foreign'));
      for (const path of foreign) mkdirSync(path);
      await box[Symbol.asyncDispose]();
      expect((await run('echo', ['next'])).stdout).toBe('next\n');
      expect(dirs.filter((path) => !existsSync(path))).toEqual([]);
      for (const path of foreign) rmdirSync(path);
      await until(() => !dirs.some((path) => existsSync(path)));
    });
  });
});
