import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ContainerGoneError, run } from '../../lib/index.js';
import {
  cgroupMembers,
  containerCgroups,
  descendants,
  expectNoLeaks,
  launcherPid,
  processName,
  snapshot,
} from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';

const sh = (script: string, options = {}) => run('sh', ['-c', script], options);

/** Waits, at most 10 s, for something to become true. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let left = 3000; !condition(); left--) {
    if (left === 0) throw new Error(`never: ${what}`);
    await sleep(20);
  }
}

/** Whether a process is gone, or only waits for its parent to ask. */
function isOver(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return true;
  try {
    return /^\S+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

suite('many at once', [cgroups], () => {
  test('64 containers do not mix what they print', async () => {
    const runs = Array.from({ length: 64 }, async (_, i) => {
      const line = `container ${i} `.repeat(100);
      const script =
        'i=0; while [ $i -lt 50 ]; do echo "$1"; echo "$1" >&2; i=$((i+1)); done; exit $2';
      const result = await run('sh', ['-c', script, 'sh', line, String(i)]);
      expect(result.stdout).toBe(`${line}\n`.repeat(50));
      expect(result.stderr).toBe(`${line}\n`.repeat(50));
      expect(result.exitCode).toBe(i);
    });
    await Promise.all(runs);
  });

  test('a flood in one does not hold up the others', async () => {
    const flood = run('yes', [], { timeout: 5_000, maxBuffer: '16KiB' });
    const others = await Promise.all(Array.from({ length: 10 }, (_, i) => sh(`echo ${i}`)));
    expect(others.map(({ stdout }) => stdout)).toEqual(others.map((_, i) => `${i}\n`));
    expect(await flood).toMatchObject({ reason: 'timeout', truncated: { stdout: true } });
  });

  test('a reader that is busy loses nothing', async () => {
    const running = sh('head -c 3000000 /dev/zero; echo end >&2');
    await sleep(100);
    // Nothing is read meanwhile: the pipe is full, and the guest waits.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    const { stdout, stderr, exitCode } = await running;
    expect([stdout.length, stderr, exitCode]).toEqual([3_000_000, 'end\n', 0]);
  });

  test('failures among successes stay with their own call', async () => {
    const before = snapshot();
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) =>
        i % 3 === 0 ? run(`no-such-program-${i}`) : sh(`exit ${i}`),
      ),
    );
    for (const [i, result] of results.entries()) {
      if (i % 3 !== 0) expect(result).toMatchObject({ value: { exitCode: i } });
      else expect(result).toMatchObject({ reason: { path: `no-such-program-${i}` } });
    }
    await expectNoLeaks(before);
  });
});

suite('the launcher is killed', [cgroups], () => {
  test('pending runs reject, guests die, and the next run works', async () => {
    await run('true');
    const launcher = await launcherPid();
    const runs = [sh('sleep 1000'), sh('sleep 1000'), sh('trap "" TERM; sleep 1000')];
    const settled = Promise.allSettled(runs);
    const sleeping = () => descendants(launcher).filter((pid) => processName(pid) === 'sleep');
    await until('three guests', () => sleeping().length === 3);
    const family = descendants(launcher);
    const mine = containerCgroups().filter((path) => {
      return cgroupMembers(path).some((pid) => family.includes(pid));
    });
    process.kill(launcher, 'SIGKILL');
    for (const result of await settled) {
      expect(result.status).toBe('rejected');
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(ContainerGoneError);
      expect(reason).toMatchObject({ code: 'ERR_LAUNCHER_GONE', phase: 'launcher' });
    }
    await until('guests gone', () => [launcher, ...family].every(isOver));
    expect(await sh('echo again')).toMatchObject({ stdout: 'again\n', exitCode: 0 });
    expect(await launcherPid()).not.toBe(launcher);
    expect(mine.length).toBeGreaterThan(0);
    await until('cgroups swept', () => !mine.some((path) => existsSync(path)));
  });
});

/** A Node of its own in which three programs run, one of them deaf to signals. */
const program = `
  import { run } from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)};
  const ready = (script) => run('sh', ['-c', script], { stdio: ['ignore', 'inherit', 'inherit'] });
  ready('echo up; sleep 1000');
  ready('echo up; trap "" TERM; sleep 1000');
  ready('echo up; (setsid sleep 1000 &); sleep 1000');
  process.stdin.once('data', () => process.exit(7));
  process.stdin.once('end', () => process.exit(8));
`;

suite('Node ends while programs run', [cgroups], () => {
  let node: ChildProcess;
  afterEach(() => {
    node.kill('SIGKILL'); // one that a failed test has left
  });

  const start = async () => {
    node = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let lines = '';
    node.stdout?.on('data', (data) => {
      lines += data;
    });
    const sleeping = () => descendants(node.pid).filter((pid) => processName(pid) === 'sleep');
    await until('three programs', () => lines.split('up').length === 4 && sleeping().length === 4);
    const family = descendants(node.pid);
    const made = containerCgroups().filter((path) => {
      return cgroupMembers(path).some((pid) => family.includes(pid));
    });
    return { family, made };
  };

  describe.each([
    ['process.exit()', 7, () => node.stdin?.write('go')],
    ['SIGKILL', 'SIGKILL', () => node.kill('SIGKILL')],
    ['SIGTERM', 'SIGTERM', () => node.kill('SIGTERM')],
  ])('by %s', (_, how, end) => {
    test('no process and no cgroup is left', async () => {
      const { family, made } = await start();
      expect(family.length).toBeGreaterThanOrEqual(8);
      expect(made.length).toBeGreaterThanOrEqual(3);
      const over = new Promise((resolve) =>
        node.once('exit', (code, signal) => resolve(signal ?? code)),
      );
      end();
      expect(await over).toBe(how);
      await until('processes gone', () => family.every(isOver));
      await until('cgroups gone', () => !made.some((path) => existsSync(path)));
    });
  });
});
