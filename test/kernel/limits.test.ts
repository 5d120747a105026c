import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ContainerError, run } from '../../lib/index.js';
import { prlimit, Rlimit } from '../../lib/sys/index.js';
import { inTime } from '../helpers/inTime.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';

const sh = (script: string, options = {}) => run('sh', ['-c', script], options);
const spin = 'while :; do :; done';

/** Guests and inits of this process; a launch leaves none behind. */
const guests = () =>
  descendants()
    .map(processName)
    .filter((name) => /^(sh|yes|sleep)$/.test(name));

suite('time and output limits', [cgroups], () => {
  afterEach(() => expect(guests()).toEqual([]));

  describe('timeout', () => {
    test('SIGTERM first', async () => {
      const result = await sh('sleep 1000', { timeout: 200 });
      expect(result).toMatchObject({
        reason: 'timeout',
        timedOut: true,
        failed: true,
        exitCode: null,
        signal: 'SIGTERM',
      });
    });

    test('what was printed before it is kept', async () => {
      const script = 'echo before; sleep 1000';
      const late = await inTime('before\n', 500, (timeout) => sh(script, { timeout }));
      expect(late).toMatchObject({ stdout: 'before\n' });
    });

    test('a guest may answer it', async () => {
      const script = 'trap "echo bye; exit 3" TERM; echo ready; sleep 1000 & wait';
      const late = await inTime('ready\n', 500, (timeout) => sh(script, { timeout }));
      expect(late).toMatchObject({
        stdout: 'ready\nbye\n',
        exitCode: 3,
        reason: 'timeout',
        timedOut: true,
      });
    });

    test('a guest that does not want to go is killed after the delay', async () => {
      const script = `trap "" TERM; echo ready; ${spin}`;
      let given = 0;
      const result = await inTime('ready\n', 500, (timeout) => {
        given = timeout;
        return sh(script, { timeout, forceKillAfterDelay: 200 });
      });
      expect(result).toMatchObject({ reason: 'timeout', signal: 'SIGKILL', exitCode: null });
      expect(result.durationMs).toBeGreaterThanOrEqual(given + 200);
    });

    test('killSignal: SIGKILL at once', async () => {
      const options = { timeout: 200, killSignal: 'SIGKILL', forceKillAfterDelay: false } as const;
      expect(await sh(`trap "" TERM; ${spin}`, options)).toMatchObject({
        reason: 'timeout',
        signal: 'SIGKILL',
      });
    });

    test('as pid 1, which the kernel shields from signals without a handler', async () => {
      const options = { init: false, timeout: 200, forceKillAfterDelay: 200 };
      expect(await sh('sleep 1000', options)).toMatchObject({
        reason: 'timeout',
        signal: 'SIGKILL',
      });
    });

    test('one that has passed before the launch is through still ends the program', async () => {
      expect(await sh('sleep 1000', { timeout: 1 })).toMatchObject({ reason: 'timeout' });
    });

    test('a program that is in time is not touched', async () => {
      expect(await sh('exit 4', { timeout: 60_000 })).toMatchObject({
        reason: 'exit',
        exitCode: 4,
        timedOut: false,
      });
    });
  });

  describe('signal', () => {
    test('aborted before: nothing is started', async () => {
      const reason = new Error('no more');
      await expect(sh('true', { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
        name: 'AbortError',
        code: 'ABORT_ERR',
        cause: reason,
      });
    });

    test.each([0, 300])('aborted %d ms after the call', async (delay) => {
      const controller = new AbortController();
      const running = sh('sleep 1000', { signal: controller.signal });
      setTimeout(() => controller.abort('enough'), delay);
      await expect(running).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' });
    });

    test('a guest that traps the signal is killed after the delay', async () => {
      const controller = new AbortController();
      const options = { signal: controller.signal, forceKillAfterDelay: 200 };
      const running = sh(`trap "" TERM; ${spin}`, options);
      setTimeout(() => controller.abort(), 300);
      await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    });

    test('many runs may share one signal', async () => {
      const { signal } = new AbortController();
      for (let i = 0; i < 15; i++) await sh('true', { signal });
      // Node warns of more than ten listeners that nobody took away.
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    });
  });

  describe('maxBuffer', () => {
    const flood = (options: object) => run('yes', [], { maxBuffer: '64KiB', ...options });

    test('truncate: the rest is read and dropped', async () => {
      const result = await sh('yes | head -c 1000000', { maxBuffer: '64KiB' });
      expect(result).toMatchObject({
        reason: 'exit',
        exitCode: 0,
        isMaxBuffer: true,
        truncated: { stdout: true, stderr: false },
      });
      expect(result.stdout).toBe('y\n'.repeat(32 << 10));
    });

    test('kill', async () => {
      const result = await flood({ maxBufferAction: 'kill', timeout: 30_000 });
      expect(result).toMatchObject({ reason: 'output', signal: 'SIGKILL', isMaxBuffer: true });
      expect(result.stdout).toHaveLength(64 << 10);
    });

    test('error', async () => {
      const error = await flood({ maxBufferAction: 'error', timeout: 30_000 }).catch((e) => e);
      expect(error).toBeInstanceOf(ContainerError);
      expect(error).toMatchObject({ code: 'ERR_MAX_BUFFER', option: 'maxBuffer' });
      expect(error.message).toContain('stdout');
    });

    test('each stream has its own', async () => {
      const script = 'printf 123456; printf 123456789 >&2';
      expect(await sh(script, { maxBuffer: 6 })).toMatchObject({
        stdout: '123456',
        stderr: '123456',
        truncated: { stdout: false, stderr: true },
        exitCode: 0,
      });
    });

    test('0 keeps nothing', async () => {
      expect(await sh('echo x', { maxBuffer: 0 })).toMatchObject({
        stdout: '',
        truncated: { stdout: true, stderr: false },
      });
    });
  });
});

suite('limits of a process', [cgroups], () => {
  test('nofile', async () => {
    expect((await sh('ulimit -Sn; ulimit -Hn', { limits: { nofile: 64 } })).stdout).toBe(
      '64\n64\n',
    );
  });

  test('fsize: SIGXFSZ for a larger file', async () => {
    const result = await sh('dd if=/dev/zero of=/tmp/f bs=4096 count=16; ls -l /tmp/f >&2', {
      limits: { fsize: '16KiB' },
    });
    expect(result.stderr).toMatch(/ 16384 /);
  });

  test('rlimits by name, soft and hard', async () => {
    const rlimits = { RLIMIT_STACK: [1 << 20, 2 << 20] as [number, number], RLIMIT_CPU: 100 };
    expect((await sh('ulimit -Ss; ulimit -Hs; ulimit -t', { rlimits })).stdout).toBe(
      '1024\n2048\n100\n',
    );
  });

  test('rlimits above what this process may have are refused, with what to do', async () => {
    const hard = Number(prlimit(0, Rlimit.RLIMIT_NOFILE).hard);
    await expect(sh('true', { rlimits: { RLIMIT_NOFILE: hard + 1 } })).rejects.toMatchObject({
      code: 'ERR_RLIMIT_TOO_HIGH',
      option: 'rlimits.RLIMIT_NOFILE',
      hint: expect.stringContaining('prlimit'),
    });
    // A hard limit alone is cut to what can be had.
    const cut = { RLIMIT_NOFILE: [hard, hard * 2] as [number, number] };
    expect((await sh('ulimit -Hn', { rlimits: cut })).stdout).toBe(`${hard}\n`);
  });

  test('no core dump leaves the container, whatever the host does with them', async () => {
    const { stdout } = await sh('grep core /proc/self/limits');
    expect(stdout).toMatch(/Max core file size +1 +1 +bytes/);
  });

  test('oom_score_adj: above the host’s own', async () => {
    expect((await run('cat', ['/proc/self/oom_score_adj'])).stdout).toBe('500\n');
    const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
    const higher = Math.min(1000, own + 700);
    const { stdout } = await run('cat', ['/proc/self/oom_score_adj'], { oomScoreAdj: higher });
    expect(stdout).toBe(`${higher}\n`);
  });

  test('a quota of more CPUs than there are is refused', async () => {
    const cpus = availableParallelism() + 1000;
    await expect(run('true', [], { limits: { cpus } })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      option: 'limits.cpus',
    });
  });

  suite('with python', [command('python3')], () => {
    test('nofile bounds what can be open at once', async () => {
      const script =
        'import os\ntry:\n  while 1: n=os.dup(0)\nexcept OSError as e: print(n, e.errno)';
      const { stdout } = await run('python3', ['-c', script], { limits: { nofile: 50 } });
      expect(stdout).toBe('49 24\n');
    });
  });
});
