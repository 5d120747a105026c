import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Container,
  type ContainerError,
  type CreateOptions,
  createContainer,
  type ExecOptions,
  type RunResult,
} from '../../lib/index.js';
import { namespacesOf } from '../helpers/containers.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, controller, manyIds, suite } from '../helpers/needs.js';

/** The two ways that a program gets into a container. */
const styles: [string, CreateOptions][] = [
  ['by the init', {}],
  ['by joining', { command: ['sleep', '600'] }],
];

/** What keeps a process going and forking away from whoever looks: each link ends at once. */
const forkStorm = 'storm() { (sleep 0.01; storm) & }; storm; while :; do sleep 0.01; done';

suite('programs in a container', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  describe.each(styles)('%s', (_, style) => {
    let box: Container;
    beforeAll(async () => {
      box = await createContainer({ ...style, env: { A: 'container', B: 'base' } });
    });
    afterAll(() => box[Symbol.asyncDispose]());

    const sh = async (script: string, options: Omit<ExecOptions, 'encoding'> = {}) => {
      const { stdout, stderr, exitCode } = await box.exec('sh', ['-c', script], options);
      return { stdout, stderr, exitCode };
    };

    test('what is left running is not waited for, and the result says that it is', async () => {
      const left = await box.exec('sh', ['-c', '(sleep 600; echo late) & echo x']);
      const { stdout, truncated, isMaxBuffer, failed } = left;
      expect({ stdout, truncated, isMaxBuffer, failed }).toEqual({
        stdout: 'x\n',
        truncated: { stdout: true, stderr: true },
        isMaxBuffer: false,
        failed: false,
      });
      const { truncated: whole } = await box.exec('sh', [
        '-c',
        'sleep 600 >/dev/null 2>&1 & echo x',
      ]);
      expect(whole).toEqual({ stdout: false, stderr: false });
    });

    test('a result as of run', async () => {
      const result = await box.exec('sh', ['-c', 'echo out; echo err >&2; exit 7']);
      expect(result).toMatchObject({
        command: ['sh', '-c', 'echo out; echo err >&2; exit 7'],
        exitCode: 7,
        signal: null,
        reason: 'exit',
        stdout: 'out\n',
        stderr: 'err\n',
        failed: true,
      });
      expect(result.usage.cpuTimeMs).toBeGreaterThan(0);
      expect(result.isolation.missing).toEqual(box.isolation?.missing);
    });

    test('each is charged for what it has used itself', async () => {
      const work = 'import time\nx = bytearray(60 << 20)\nwhile time.process_time() < 0.3: pass';
      const [much, little] = await Promise.all([
        box.exec('python3', ['-c', work]),
        box.exec('true'),
      ]);
      expect(much.usage.cpuTimeMs).toBeGreaterThanOrEqual(250);
      expect(much.usage.peakMemoryBytes).toBeGreaterThan(60 << 20);
      expect(little.usage.cpuTimeMs).toBeLessThan(150);
      expect(little.usage.peakMemoryBytes).toBeLessThan(30 << 20);
      const program = box.spawn('python3', ['-c', work], { stdio: 'ignore' });
      await new Promise((resolve) => program.once('close', resolve));
      expect(program.usage?.cpuTimeMs).toBeGreaterThanOrEqual(250);
    });

    test('they share files and processes, and nothing of the host’s', async () => {
      await sh('echo kept >/tmp/file; sleep 600 & echo $! >/tmp/pid');
      const { stdout } = await sh('cat /tmp/file; kill -0 $(cat /tmp/pid) && echo alive');
      expect(stdout).toBe('kept\nalive\n');
      await sh('kill $(cat /tmp/pid)');
    });

    test('environment: the container’s, changed by its own', async () => {
      const env = { B: undefined, C: 'own' };
      const { stdout } = await box.exec('env', [], { env });
      expect(stdout.trim().split('\n').sort()).toEqual(['A=container', 'C=own']);
    });

    test('cwd, umask, input', async () => {
      const { stdout } = await box.exec('sh', ['-c', 'pwd; umask; cat'], {
        cwd: '/tmp',
        umask: 0o077,
        input: 'fed',
      });
      expect(stdout).toBe('/tmp\n0077\nfed');
    });

    test('every wall that the first program has', async () => {
      const status =
        "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status; " +
        'cat /proc/self/cgroup; ls /proc/self/fd | wc -l; unshare -U true 2>&1; ' +
        'for n in user pid mnt net ipc uts; do readlink /proc/self/ns/$n; done';
      const { stdout } = await sh(status);
      expect(stdout).toMatch(/^CapBnd:\t0{16}$/m);
      expect(stdout).toMatch(/^CapEff:\t0{16}$/m);
      expect(stdout).toMatch(/^CapInh:\t0{16}$/m);
      expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
      expect(stdout).toMatch(/^Seccomp:\t2$/m);
      expect(stdout).toMatch(/unshare failed: Operation not permitted/);
      // Its own cgroup is the root of what it sees.
      expect(stdout.split('\n').filter((line) => /^0::/.test(line))).toEqual(
        stdout.includes('0::') ? ['0::/'] : [],
      );
      // 0, 1, 2 and the one that lists them
      expect(stdout).toMatch(/^4$/m);
      const inside = stdout.match(/^(user|pid|mnt|net|ipc|uts):.*$/gm) ?? [];
      expect(inside).toHaveLength(6);
      const host = namespacesOf('self');
      expect(inside.filter((link) => Object.values(host).includes(link))).toEqual([]);
    });

    test('a limit of its own: processes', async () => {
      const { stderr, exitCode } = await sh(
        'for i in 1 2 3 4 5 6; do sleep 60 >&- 2>&- & done; wait',
        { limits: { pids: 4 } },
      );
      expect(stderr).toMatch(/fork/);
      expect(exitCode).not.toBe(0);
      // Its neighbours have the container's.
      expect((await sh('for i in 1 2 3 4 5 6; do true & done; wait')).exitCode).toBe(0);
    });

    test('a limit of its own: memory ends it alone', async () => {
      const neighbour = box.exec('sh', ['-c', 'sleep 1; echo survived']);
      const result = await box.exec('python3', ['-c', 'a = bytearray(200 << 20)'], {
        limits: { memory: '32MiB' },
      });
      expect(result.reason).toBe('oom');
      expect((await neighbour).stdout).toBe('survived\n');
      expect(box.state).toBe('running');
    });

    test('a limit of its own: CPU time', async () => {
      const result = await box.exec('sh', ['-c', 'while :; do :; done'], {
        limits: { cpuTime: 200 },
      });
      expect(result.reason).toBe('cpu-time');
    });

    test('a timeout ends what it has started also when the program itself obeys', async () => {
      const left = () => box.shell('ps ax | grep -c "[s]leep 4321" || true');
      const script = 'sleep 4321 & sleep 4321 & wait';
      const late = await box.exec('sh', ['-c', script], { timeout: 300 });
      expect(late).toMatchObject({ signal: 'SIGTERM', reason: 'timeout' });
      await until(async () => (await left()).stdout === '0\n');
    });

    test('another user runs in / unless told otherwise', async () => {
      expect((await box.exec('pwd', [], { user: 'nobody' })).stdout).toBe('/\n');
    });

    test('timeout and abort end what it has started', async () => {
      const script = 'trap "" TERM; sleep 600 & echo $! >/tmp/grandchild; wait';
      const late = await box.exec('sh', ['-c', script], { timeout: 2000, forceKillAfterDelay: 10 });
      expect(late).toMatchObject({ reason: 'timeout', timedOut: true });
      // Without an init of ours nobody may have reaped it.
      const { stdout } = await sh('ps -o stat= -p $(cat /tmp/grandchild)');
      expect(stdout).toMatch(/^(Z.*)?$/m);
      const controller = new AbortController();
      const aborted = box.exec('sleep', ['600'], { signal: controller.signal });
      setTimeout(() => controller.abort(new Error('enough')), 50);
      await expect(aborted).rejects.toMatchObject({
        name: 'AbortError',
        code: 'ABORT_ERR',
        cause: expect.objectContaining({ message: 'enough' }),
        result: { isCanceled: true },
      });
    });

    test('all have the container’s out-of-memory score, what serves its files too', async () => {
      await box.fs.stat('/');
      const { stdout } = await sh('cat /proc/[0-9]*/oom_score_adj');
      expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['500']));
    });

    suite('behind a user of its own', [manyIds], () => {
      test('a signal reaches a program of any user', async () => {
        const program = box.spawn('sleep', ['600'], { user: '1000:1000', stdio: 'ignore' });
        await until(() => program.pid !== undefined);
        program.kill('SIGUSR1');
        await new Promise((resolve) => program.once('close', resolve));
        expect(program.signalCode).toBe('SIGUSR1');
      });
    });

    test('a tree that forks away is ended as a whole', async () => {
      const storm = box.spawn('sh', ['-c', forkStorm], { stdio: 'ignore' });
      await until(() => storm.pid !== undefined);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(storm.killTree()).toBe(true);
      await new Promise((resolve) => storm.once('close', resolve));
      expect(storm.signalCode).toBe('SIGKILL');
      // Killed all at once, which is not to say gone.
      const { exitCode } = await sh(
        "for i in $(seq 200); do ps -eo args | grep -q '[s]leep 0.01' || exit 0; sleep 0.05; done; exit 1",
      );
      expect(exitCode).toBe(0);
    });

    test('many at once, each with its own output', async () => {
      const results = await Promise.all(
        Array.from({ length: 60 }, (_, i) => box.exec('sh', ['-c', `echo ${i}; exit ${i}`])),
      );
      expect(results.map(({ stdout, exitCode }) => `${stdout.trim()} ${exitCode}`)).toEqual(
        results.map((_, i) => `${i} ${i}`),
      );
    });

    test('arguments and environment too large for one message', async () => {
      const big = 'x'.repeat(100_000);
      const { stdout } = await box.exec(
        'sh',
        ['-c', 'printf %s "$V" | wc -c; printf %s "$1" | wc -c', 'sh', big],
        {
          env: { V: big, W: big },
        },
      );
      expect(stdout).toBe('100000\n100000\n');
    });

    test('output beyond maxBuffer', async () => {
      const result = await box.exec('sh', ['-c', 'yes'], {
        maxBuffer: 1000,
        maxBufferAction: 'kill',
      });
      expect(result).toMatchObject({ reason: 'output', isMaxBuffer: true });
      expect(result.stdout).toHaveLength(1000);
    });

    test.each<[string, () => Promise<unknown>, Record<string, unknown>]>([
      ['a program that is not there', () => box.exec('no-such'), { code: 'ERR_PROGRAM_NOT_FOUND' }],
      [
        'a directory that is not there',
        () => box.exec('true', [], { cwd: '/no' }),
        { code: 'ERR_CWD' },
      ],
      [
        'an option that is none',
        () => box.exec('true', [], { nice: 1 } as object),
        { option: 'nice' },
      ],
      [
        'a container’s option',
        () => box.exec('true', [], { rootfs: 'host' } as object),
        { option: 'rootfs' },
      ],
      ['a NUL', () => box.exec('echo', ['a\0b']), { code: 'ERR_INVALID_OPTION' }],
      [
        'a user that nobody is',
        () => box.exec('true', [], { user: 'nobody-there' }),
        { code: 'ERR_USER_NOT_FOUND' },
      ],
    ])('%s is a typed error', async (_name, call, expected) => {
      await expect(call()).rejects.toMatchObject(expected);
      expect((await sh('echo still here')).stdout).toBe('still here\n');
    });

    test('an abort before it begins starts nothing', async () => {
      await expect(
        box.exec('touch', ['/tmp/never'], { signal: AbortSignal.abort() }),
      ).rejects.toMatchObject({ code: 'ABORT_ERR' });
      expect((await sh('test -e /tmp/never')).exitCode).toBe(1);
    });
  });

  suite('as another user', [manyIds], () => {
    test.each(styles)('%s', async (_, style) => {
      await using box = await createContainer(style);
      const { stdout } = await box.exec('sh', ['-c', 'id -u; id -g; id -G; pwd'], {
        uid: 1000,
        gid: 1001,
        groups: [5, 6],
      });
      expect(stdout).toBe('1000\n1001\n1001 5 6\n/\n');
      const other = await box.exec('sh', ['-c', 'kill -9 1 2>&1; cat /proc/1/environ 2>&1'], {
        uid: 1000,
        gid: 1001,
      });
      expect(other.stdout).toMatch(/not permitted|No such process/);
      expect(box.state).toBe('running');
    });
  });

  test('nor where its limit of processes is used up, which the error says', async () => {
    await using box = await createContainer({ limits: { pids: 4 } });
    const programs = Array.from({ length: 6 }, () => box.spawn('sleep', ['600']));
    const errors = await Promise.all(
      programs.map(
        (program) =>
          new Promise<unknown>((resolve) => {
            program.once('error', resolve).once('spawn', () => resolve(undefined));
          }),
      ),
    );
    const failed = errors.filter((error) => error !== undefined);
    expect(failed.length).toBeGreaterThan(1);
    expect(failed.length).toBeLessThan(6);
    for (const error of failed)
      expect(error).toMatchObject({ message: expect.stringContaining('EAGAIN') });
    expect(failed[0]).toMatchObject({
      code: 'ERR_LAUNCH_FAILED',
      hint: expect.stringContaining('limits.pids'),
    });
    await box.update({ limits: { pids: 20 } });
    expect((await box.exec('true')).exitCode).toBe(0);
  });

  test('nothing is started in a container that has ended', async () => {
    const box = await createContainer();
    await box.stop();
    expect(box.state).toBe('stopped');
    for (const call of [() => box.exec('true'), () => box.shell('true')])
      await expect(call()).rejects.toMatchObject({
        name: 'StateError',
        code: 'ERR_CONTAINER_NOT_RUNNING',
      });
    expect(() => box.spawn('true')).toThrow(
      expect.objectContaining({ code: 'ERR_CONTAINER_NOT_RUNNING' }),
    );
    await box[Symbol.asyncDispose]();
  });

  test.each(styles)('the end of the container is the end of its programs: %s', async (_, style) => {
    const box = await createContainer(style);
    const running = [
      box.exec('sleep', ['600']),
      box.exec('sh', ['-c', 'trap "" TERM INT HUP; sleep 600; true']),
    ];
    const process = box.spawn('cat');
    await until(() => process.pid !== undefined);
    const ended = new Promise((resolve) => process.once('close', resolve));
    box.kill();
    const results = await Promise.all(running.map((each) => each.catch((error: unknown) => error)));
    // One that was still on its way has no result.
    for (const result of results as (RunResult | ContainerError)[])
      expect(result).toEqual(
        result instanceof Error
          ? expect.objectContaining({ code: 'ERR_CONTAINER_GONE' })
          : expect.objectContaining({ signal: 'SIGKILL', reason: 'signal' }),
      );
    await ended;
    expect(process.signalCode).toBe('SIGKILL');
    await box[Symbol.asyncDispose]();
  });

  test('a program that never reads its input, and one that nobody reads, hold nobody up', async () => {
    await using box = await createContainer();
    const deaf = box.spawn('sleep', ['600']);
    const flood = box.spawn('sh', ['-c', 'yes']);
    await until(() => flood.pid !== undefined && deaf.pid !== undefined);
    for (let i = 0; i < 64; i++) deaf.stdin?.write(Buffer.alloc(65536));
    const rss = process.memoryUsage.rss();
    expect((await box.exec('echo', ['through'])).stdout).toBe('through\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(process.memoryUsage.rss() - rss).toBeLessThan(64 << 20);
    await Promise.all([deaf[Symbol.asyncDispose](), flood[Symbol.asyncDispose]()]);
  });
});

// A limit of one program needs a container that has one of that kind.
suite(
  'CPUs of one program in a container',
  [cgroups, controller('cpu'), controller('cpuset')],
  () => {
    test.each(styles)('cpus: %s', async (_, style) => {
      const spin = ['-c', 'while :; do :; done'];
      const timed = { timeout: 1_000, killSignal: 'SIGKILL' } as const;
      await using box = await createContainer({
        ...style,
        limits: { cpus: availableParallelism() },
      });
      const held = await box.exec('sh', spin, { ...timed, limits: { cpus: 0.05 } });
      expect(held.reason).toBe('timeout');
      expect(held.usage.throttledMs).toBeGreaterThan(0);
      const neighbour = await box.exec('sh', spin, timed);
      expect(neighbour.usage.throttledMs ?? 0).toBe(0);
    });

    test.each(styles)('cpuset: %s', async (_, style) => {
      const mayUse = (line: string) => /^Cpus_allowed_list:\t(.*)$/m.exec(line)?.[1];
      const ours = mayUse(readFileSync('/proc/self/status', 'latin1'));
      const last = /\d+$/.exec(`${ours}`)?.[0];
      await using box = await createContainer({ ...style, limits: { cpuset: `${ours}` } });
      const inside = async (options: Pick<ExecOptions, 'limits'> = {}) =>
        mayUse((await box.exec('cat', ['/proc/self/status'], options)).stdout);
      expect(await inside({ limits: { cpuset: `${last}` } })).toBe(last);
      expect(await inside()).toBe(ours);
    });
  },
);
