import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createContainer } from '../../lib/index.js';
import { expectNoLeaks, type Snapshot, snapshot, testMount, warmUp } from '../helpers/leaks.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';

const library = (name: string) => new URL(`../../lib/${name}.js`, import.meta.url).href;

interface Attempt {
  exitCode?: number | null;
  typed?: boolean;
  code?: string;
}

/** Neither a success nor an error of ours. */
const isUndefined = ({ typed, exitCode }: Attempt) => typed !== true && exitCode !== 0;

/** In scope: `boxes`, one of each kind; `attempt(box)`: exit code or error; `fds()`, `report`. */
const prelude = `
import fs from 'node:fs';
import * as sys from '${library('sys/index')}';
import { createContainer, ContainerError } from '${library('index')}';
import { supervisor } from '${library('supervisor')}';
const out = fs.mkdtempSync('/tmp/ringfort-');
process.on('exit', () => fs.rmSync(out, { recursive: true }));
const boxes = [await createContainer(), await createContainer({ command: ['sleep', 'infinity'] })];
const outcome = async (call) => {
  try {
    return { exitCode: (await call())?.exitCode ?? 0 };
  } catch (error) {
    const { code, phase, errno, hint, message } = error;
    // A call on a file fails as node:fs' own does.
    const ofFiles = code === 'EMFILE' && ['open', 'copyfile'].includes(error.syscall);
    const typed = error instanceof ContainerError || ofFiles;
    return { typed, code, phase, errno, hint, message };
  }
};
const spawned = (box, options) => new Promise((resolve, reject) => {
  const program = box.spawn('echo', ['on'], options);
  let said = '';
  program.stdout?.on('data', (data) => { said += data; });
  program.on('error', reject);
  program.on('close', (exitCode) => resolve({ exitCode: said.trim() === 'on' ? exitCode : 'nothing printed' }));
});
const pty = { cols: 80, rows: 24 };
const attempts = {
  exec: (box) => outcome(() => box.exec('true')),
  limits: (box) => outcome(() => box.exec('true', [], { limits: { pids: 10 } })),
  terminal: (box) => outcome(() => spawned(box, { pty })),
  file: (box) => outcome(() => box.fs.writeFile('/tmp/file', 'text')),
  update: (box) => outcome(() => box.update({ limits: { pids: 100 } })),
  stats: (box) => outcome(() => box.stats().next()),
  top: (box) => outcome(() => box.top()),
  watch: (box) => outcome(async () => {
    const events = box.fs.watch('/tmp');
    let seen = false;
    const first = events.next().finally(() => { seen = true; });
    try {
      // It may watch only after the first of them.
      while (!seen) await box.fs.writeFile('/tmp/watched', 'x');
      await first;
    } finally {
      await events.return();
      await first.catch(() => {});
    }
  }),
  copyIn: (box) => outcome(() => box.copyIn('/etc/passwd', '/tmp/in')),
  copyOut: (box) => outcome(() => box.copyOut('/etc/passwd', out + '/passwd')),
  // Last, for whoever stays paused answers to nothing else.
  pause: (box) => outcome(() => box.pause()),
  resume: (box) => outcome(() => box.resume()),
};
const made = async (options) => (await createContainer(options))[Symbol.asyncDispose]();
const creates = {
  create: () => outcome(() => made({})),
  command: () => outcome(() => made({ command: ['sleep', 'infinity'], pty })),
  held: () => outcome(() => made({ command: ['sleep', 'infinity'], start: false })),
};
const thaw = async () => {
  for (const box of boxes) if (box.state === 'paused') await box.resume();
};
const fds = (pid = 'self') => fs.readdirSync('/proc/' + pid + '/fd').length;
const report = (value) => fs.writeSync(1, JSON.stringify(value));
const all = async () => {
  const found = [];
  for (const box of boxes)
    for (const [name, attempt] of Object.entries(attempts)) found.push({ name, ...(await attempt(box)) });
  for (const [name, create] of Object.entries(creates)) found.push({ name, ...(await create()) });
  return found;
};
await all();
`;

function inNode(script: string): unknown {
  const node = ['--input-type=module', '--eval', prelude + script];
  const { status, stdout, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

interface Report {
  results: Attempt[][];
  leaked: number[];
  next: Attempt[];
  states: string[];
}

/** What must hold of every such fault. */
function expectDefined({ results, leaked, next, states }: Report): void {
  expect(results.flat().filter(isUndefined)).toEqual([]);
  expect(results[0]?.some(({ typed }) => typed === true)).toBe(true);
  expect(results.at(-1)?.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  expect(next.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  expect(leaked.filter((count) => count > 0)).toEqual([]);
  expect(states).toEqual(['running', 'running']);
}

const end = `
      const states = boxes.map(({ state }) => state);
      for (const box of boxes) await box[Symbol.asyncDispose]();`;

suite('faults at a program in a container', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer({ command: ['sleep', 'infinity'] });
    // The descriptor that libuv holds in reserve comes with the first stream.
    await box.exec('true');
    await box.fs.writeFile('/tmp/a', 'x');
  });
  beforeEach(() => {
    before = snapshot();
  });
  afterEach(() => expectNoLeaks(before));

  test('too few descriptors in Node, whatever the number: typed errors or successes', () => {
    const script = `
      const { RLIMIT_NOFILE } = sys.Rlimit;
      const { hard } = sys.prlimit(0, RLIMIT_NOFILE);
      const open = fds();
      const results = [];
      for (let spare = 0; spare < 24; spare++) {
        const hoard = [];
        sys.prlimit(0, RLIMIT_NOFILE, { soft: 128n, hard });
        try {
          for (;;) hoard.push(fs.openSync('/dev/null'));
        } catch {}
        for (const fd of hoard.splice(0, spare)) fs.closeSync(fd);
        results.push(await all());
        for (const fd of hoard) fs.closeSync(fd);
        sys.prlimit(0, RLIMIT_NOFILE, { soft: hard, hard });
        await thaw();
      }
      const next = await all();
      await new Promise((resolve) => setTimeout(resolve, 200));
      const leaked = [fds() - open];${end}
      report({ results, leaked, next, states });`;
    expectDefined(inNode(script) as Report);
  });

  // An ordinary user's launcher is not dumpable: only root may limit it.
  suite('in the launcher', [root], () => {
    test('too few descriptors, whatever the number: typed errors or successes, and it goes on', () => {
      const script = `
        const { launcher } = await supervisor();
        const { RLIMIT_NOFILE } = sys.Rlimit;
        const limit = sys.prlimit(launcher.pid, RLIMIT_NOFILE);
        const open = [fds(), fds(launcher.pid)];
        const highest = Math.max(...fs.readdirSync('/proc/' + launcher.pid + '/fd').map(Number));
        const results = [];
        for (let soft = 8; soft < highest + 40; soft++) {
          sys.prlimit(launcher.pid, RLIMIT_NOFILE, { soft: BigInt(soft), hard: limit.hard });
          results.push(await all());
          sys.prlimit(launcher.pid, RLIMIT_NOFILE, limit);
          await thaw();
        }
        const next = await all();
        await new Promise((resolve) => setTimeout(resolve, 200));
        const leaked = [fds() - open[0], fds(launcher.pid) - open[1]];${end}
        report({ results, leaked, next, states, same: (await supervisor()).launcher === launcher });`;
      const found = inNode(script) as Report & { same: boolean };
      expectDefined(found);
      expect(found.same).toBe(true);
    });

    test('too few descriptors in a container’s init: typed errors or successes', () => {
      const script = `
        const { RLIMIT_NOFILE } = sys.Rlimit;
        const pid = boxes[0].pid;
        const limit = sys.prlimit(pid, RLIMIT_NOFILE);
        const results = [];
        for (let soft = 3n; soft < 40n; soft++) {
          sys.prlimit(pid, RLIMIT_NOFILE, { soft, hard: limit.hard });
          results.push(await all());
        }
        sys.prlimit(pid, RLIMIT_NOFILE, limit);
        const next = await all();
        const leaked = [fds(pid) - 5];${end}
        report({ results, leaked, next, states });`;
      expectDefined(inNode(script) as Report);
    });
  });

  suite('a full disk', [root, command('mount')], () => {
    let disk: string;
    beforeAll(() => {
      disk = mkdtempSync(join(tmpdir(), 'rf-disk-'));
      const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', testMount, disk]);
      expect(status).toBe(0);
    });
    afterAll(() => {
      spawnSync('umount', [disk]);
      rmSync(disk, { recursive: true });
    });

    test('as the target of a program’s output is the program’s error, and no one else’s', async () => {
      for (const style of [{}, { command: ['sleep', 'infinity'] }]) {
        await using box = await createContainer(style);
        const file = openSync(join(disk, 'out'), 'w');
        try {
          const program = box.spawn('dd', ['if=/dev/zero', 'bs=4096', 'count=64'], {
            stdio: ['ignore', file, 'pipe'],
          });
          let said = '';
          program.stderr?.on('data', (chunk) => {
            said += chunk;
          });
          const code = await new Promise((resolve) => program.once('close', resolve));
          expect(code).not.toBe(0);
          expect(said).toMatch(/No space left on device/);
          expect(statSync(join(disk, 'out')).size).toBeLessThanOrEqual(65536);
          expect((await box.exec('echo', ['through'])).stdout).toBe('through\n');
        } finally {
          closeSync(file);
        }
      }
    });

    test('as the target of copyOut is a typed error, and what was begun is removed', async () => {
      await using box = await createContainer();
      await box.exec('dd', ['if=/dev/urandom', 'of=/tmp/big', 'bs=4096', 'count=64']);
      const before = readdirSync(disk);
      await expect(box.copyOut('/tmp/big', join(disk, 'big'))).rejects.toMatchObject({
        code: 'ENOSPC',
      });
      expect(readdirSync(disk)).toEqual(before);
      expect((await box.exec('echo', ['through'])).stdout).toBe('through\n');
    });
  });

  test('a full disk in the container is the call’s error', async () => {
    await using box = await createContainer({
      mounts: [{ type: 'tmpfs', destination: '/small', options: ['size=64k'] }],
    });
    await expect(box.fs.writeFile('/small/file', Buffer.alloc(1 << 20))).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    const source = mkdtempSync(join(tmpdir(), 'rf-source-'));
    try {
      writeFileSync(join(source, 'big'), Buffer.alloc(1 << 20, 'x'));
      const before = await box.fs.readdir('/small');
      for (const from of [join(source, 'big'), source]) {
        const copied = box.copyIn(from, '/small/copy');
        await expect(copied).rejects.toMatchObject({ code: 'ENOSPC' });
      }
      expect(await box.fs.readdir('/small')).toEqual(before);
    } finally {
      rmSync(source, { recursive: true });
    }
    expect((await box.exec('sh', ['-c', 'yes >/small/other'])).exitCode).not.toBe(0);
    expect((await box.exec('echo', ['through'])).stdout).toBe('through\n');
  });
});
