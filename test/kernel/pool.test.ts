import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  createContainer,
  defaultPath,
  Pool,
  type PoolContainerOptions,
  type PoolRunOptions,
  run,
} from '../../lib/index.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, manyIds, suite } from '../helpers/needs.js';

const env = { PATH: defaultPath };

suite('a pool', [cgroups], () => {
  let before: Snapshot;
  let directory: string;
  beforeAll(async () => {
    await warmUp();
    await run('true');
    directory = mkdtempSync(join(tmpdir(), 'ringfort-pool-'));
    before = snapshot();
  });
  afterAll(async () => {
    await expectNoLeaks(before);
    rmSync(directory, { recursive: true, force: true });
  });

  /** A pool with a container that waits. */
  async function ready(options: PoolContainerOptions = {}, min = 1): Promise<Pool> {
    const pool = new Pool(options, { min });
    await until(() => pool.stats().ready === min);
    return pool;
  }

  /** What a script prints in a container that was ready, and that it was. */
  async function sh(pool: Pool, script: string, options: PoolRunOptions = {}): Promise<string> {
    const { hits } = pool.stats();
    const asText = { env, ...options, encoding: 'utf8' } as const;
    const { stdout, stderr, exitCode } = await pool.run('sh', ['-c', script], asText);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(pool.stats().hits).toBe(hits + 1);
    return stdout;
  }

  /** What stands around a program, as it sees it itself. */
  const walls = `
    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status
    sed -E 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //' /proc/self/mountinfo | cut -d' ' -f1-3 | sort
    ulimit -a; umask; pwd; env | sort; ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) ->.*/fd \\1/p'
    cat /proc/self/cgroup | sed 's/[0-9a-f]\\{12\\}/ID/g'; cat /proc/net/dev | cut -c1-7`;

  test('a result as of run', async () => {
    await using pool = await ready();
    const script = 'cat; echo err >&2; exit 7';
    const result = await pool.run('sh', ['-c', script], { input: 'fed', env });
    expect(result).toMatchObject({
      command: ['sh', '-c', script],
      exitCode: 7,
      signal: null,
      reason: 'exit',
      stdout: 'fed',
      stderr: 'err\n',
      failed: true,
    });
    expect(result.usage.cpuTimeMs).toBeGreaterThan(0);
    const cold = await run('true');
    expect(result.isolation).toEqual(cold.isolation);
    expect(pool.stats()).toMatchObject({ hits: 1, misses: 0 });
  });

  test('members are what the options were when it was made', async () => {
    const options: PoolContainerOptions = {
      env: { ...env, WORD: 'then' },
      limits: { pids: 20 },
      mounts: [],
    };
    await using pool = new Pool(options, { min: 0 });
    Object.assign(options.env ?? {}, { WORD: 'now' });
    options.mounts?.push('nonsense');
    Object.assign(options.limits ?? {}, { pids: 'nonsense' });
    const { stdout } = await pool.run('sh', ['-c', 'echo $WORD']);
    expect(stdout).toBe('then\n');
  });

  test('a first program that is refused leaves none beside the next', async () => {
    await using pool = await ready();
    await using lease = await pool.acquire();
    const pids = async () => (await lease.container.top()).map(({ pid }) => pid);
    const waiting = (await pids()).filter((pid) => pid !== lease.container.pid);
    expect(waiting).not.toEqual([]);
    await expect(lease.exec('true', [], { user: 'nosuchuser' })).rejects.toMatchObject({
      code: 'ERR_USER_NOT_FOUND',
    });
    // Where programs join, one is two processes.
    await until(async () => (await pids()).every((pid) => !waiting.includes(pid)));
    expect((await lease.exec('true', [], { env })).exitCode).toBe(0);
  });

  test('the same walls as around a program that exec has started', async () => {
    await using pool = await ready();
    await using box = await createContainer();
    const { stdout } = await box.exec('sh', ['-c', walls], { env });
    expect(await sh(pool, walls)).toBe(stdout);
  });

  test('it is the program that waited', async () => {
    await using pool = await ready();
    await using lease = await pool.acquire();
    const waiting = (await lease.container.top()).map(({ pid }) => pid);
    const program = lease.spawn('sleep', ['600']);
    await once(program, 'spawn');
    expect(waiting).toContain(program.pid);
    expect((await lease.container.top()).map(({ pid }) => pid)).toEqual(waiting);
  });

  test('env, cwd, umask, limits of its own: as exec has them', async () => {
    await using pool = await ready({ env: { A: 'pool', B: 'base' }, cwd: '/tmp' });
    const options = { env: { ...env, B: undefined, C: 'own' }, cwd: '/usr', umask: 0o077 };
    const script = 'env | sort; pwd; umask; ulimit -n; ulimit -f';
    const out = await sh(pool, script, { ...options, limits: { nofile: 33, fsize: 4096 } });
    const cpus = await pool.run('true', [], { env, limits: { cpus: 0.5, cpuWeight: 50 } });
    expect(cpus.exitCode).toBe(0);
    expect(out.replace(/^PWD=.*\n/m, '')).toBe(
      `A=pool\nC=own\nPATH=${env.PATH}\n/usr\n0077\n33\n8\n`,
    );
    expect(await pool.run('pwd', [], { env })).toMatchObject({ stdout: '/tmp\n' });
  });

  test('no more descriptors than the three, however few it may have', async () => {
    await using pool = await ready({ limits: { nofile: 4 } });
    expect(await sh(pool, 'echo here')).toBe('here\n');
  });

  test('a program that is not there, and a directory that is not', async () => {
    await using pool = await ready({}, 2);
    await expect(pool.run('no-such-program')).rejects.toMatchObject({
      name: 'NotFoundError',
      code: 'ERR_PROGRAM_NOT_FOUND',
      path: 'no-such-program',
    });
    await expect(pool.run('true', [], { cwd: '/no/such' })).rejects.toMatchObject({
      code: 'ERR_CWD',
      path: '/no/such',
    });
    expect((await pool.run('true', [], { env })).exitCode).toBe(0);
  });

  describe('nothing of one use is seen by the next', () => {
    const spaces = ['mnt', 'pid', 'net', 'ipc', 'uts', 'user', 'cgroup'];
    const names = `hostname; readlink ${spaces.map((each) => `/proc/self/ns/${each}`).join(' ')}`;
    const leave = `
      echo secret >/tmp/file; echo secret >/dev/shm/file; echo secret >~/file 2>/dev/null
      ipcmk -M 4096 >/dev/null; sleep 600 & ${names}; echo segments $(ipcs -m | grep -c ^0x)`;
    const look = `
      ls -A /tmp /dev/shm ~; ls /proc | grep -c '^[0-9]'
      ${names}; echo segments $(ipcs -m | grep -c ^0x)`;

    test('files, processes, namespaces', async () => {
      await using pool = await ready({}, 2);
      const home = { env: { ...env, HOME: '/tmp' } };
      const [own, other] = [await sh(pool, leave, home), await sh(pool, look, home)];
      const listing = other.split('\n');
      expect(listing.filter((line) => line === 'file')).toEqual([]);
      // init, sh, ls or grep
      expect(Number(listing.find((line) => /^\d+$/.test(line)))).toBeLessThan(6);
      expect(listing).toContain('segments 0');
      const others = own.trim().split('\n');
      expect(others).toHaveLength(2 + spaces.length);
      expect(others.at(-1)).toBe('segments 1');
      for (const name of others) expect(listing).not.toContain(name);
    });

    test('what is in an overlay that is kept in memory', async () => {
      const lower = join(directory, 'lower');
      mkdirSync(lower, { recursive: true });
      writeFileSync(join(lower, 'a'), 'lower');
      const options = { rootfs: { lower: [lower] }, mounts: ['/usr:/usr:ro'] };
      await using pool = await ready(options, 2);
      const file = '/usr/bin/busybox';
      const first = await pool.run(file, ['sh', '-c', 'echo new >/a; cat /a']);
      const second = await pool.run(file, ['cat', '/a']);
      expect([first.stdout, second.stdout]).toEqual(['new\n', 'lower']);
      expect(pool.stats().hits).toBe(2);
    });

    test('limits', async () => {
      await using pool = await ready({}, 2);
      const limits = { memory: '16MiB', pids: 8 } as const;
      const fork = 'i=0; while [ $i -lt 12 ]; do sleep 60 >&- 2>&- & i=$((i+1)); done; echo all';
      expect(await pool.run('sh', ['-c', fork], { env, limits })).toMatchObject({ reason: 'pids' });
      expect(await sh(pool, fork)).toBe('all\n');
    });
  });

  test('limits of one use hold from its first instruction', async () => {
    await using pool = await ready({}, 3);
    const eat = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done';
    const small = { memory: '12MiB' } as const;
    expect(await pool.run('sh', ['-c', eat], { env, limits: small })).toMatchObject({
      reason: 'oom',
    });
    const spin = { env, limits: { cpuTime: 50 } };
    expect(await pool.run('sh', ['-c', 'while :; do :; done'], spin)).toMatchObject({
      reason: 'cpu-time',
    });
    await expect(pool.run('true', [], { limits: { memory: -1 } as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      option: 'limits.memory',
    });
    // Refused before a container was taken for it.
    expect(pool.stats()).toMatchObject({ hits: 2, misses: 0 });
  });

  test('timeout, abort, output beyond its bound: as run', async () => {
    await using pool = await ready({}, 3);
    expect(await pool.run('sleep', ['600'], { env, timeout: 50 })).toMatchObject({
      reason: 'timeout',
    });
    const signal = AbortSignal.timeout(50);
    await expect(pool.run('sleep', ['600'], { env, signal })).rejects.toMatchObject({
      name: 'AbortError',
      result: { reason: 'abort' },
    });
    const bounded = { env, maxBuffer: 100, maxBufferAction: 'kill' } as const;
    expect(await pool.run('yes', [], bounded)).toMatchObject({ reason: 'output' });
  });

  test('what it has started ends with it, and holds nobody up', async () => {
    await using pool = await ready();
    const { stdout } = await pool.run('sh', ['-c', 'sleep 600 & echo $!'], { env });
    expect(stdout).toMatch(/^\d+\n$/);
    await until(() => pool.stats().used === 0);
  });

  describe('what a waiting program cannot become starts as by exec', () => {
    test('a terminal', async () => {
      await using pool = await ready();
      const pty = { cols: 80, rows: 24 };
      const { stdout } = await pool.run('tty', [], { env, pty });
      expect(stdout).toMatch(/^\/dev\/pts\/\d/);
    });

    test('arguments beyond one message', async () => {
      await using pool = await ready();
      const args = Array.from({ length: 4 }, () => 'x'.repeat(40_000));
      const { stdout } = await pool.run('sh', ['-c', 'echo $# $(echo $1 | wc -c)', 'sh', ...args], {
        env,
      });
      expect(stdout).toBe('4 40001\n');
    });

    test('nobody is beside it then', async () => {
      await using pool = await ready();
      await using lease = await pool.acquire();
      const pty = { cols: 80, rows: 24 };
      const waiting = (await lease.container.top()).at(-1)?.pid;
      // Whoever is dead may still be waited for, and whoever is killed may still be dying.
      const script =
        "until cat /proc/[0-9]*/status >/tmp/all 2>/dev/null; test $(grep -c '^State:.[^Z]' /tmp/all) = 2; do sleep 0.05; done; echo 2";
      const { stdout } = await lease.exec('sh', ['-c', script], { env, pty });
      // Our init and sh, which looks for the files before it starts what reads them.
      expect(stdout.trim()).toBe('2');
      const pids = async () => (await lease.container.top()).map(({ pid }) => pid);
      await until(async () => !(await pids()).includes(waiting as number));
      expect(await lease.exec('true', [], { env })).toMatchObject({ exitCode: 0 });
    });
  });

  test('many arguments in one message', async () => {
    await using pool = await ready();
    const args = Array.from({ length: 8000 }, (_, i) => String(i % 10));
    expect(await sh(pool, `set -- ${args.join(' ')}; echo $#`)).toBe('8000\n');
    await until(() => pool.stats().ready === 1);
    const { stdout } = await pool.run('sh', ['-c', 'echo $#', 'sh', ...args], { env });
    expect(stdout).toBe('8000\n');
  });

  test('a lease: files and any number of programs, until it is let go of', async () => {
    await using pool = await ready();
    const lease = await pool.acquire();
    await lease.container.fs.writeFile('/tmp/in', 'text');
    const { stdout } = await lease.exec('cat', ['/tmp/in'], { env });
    const again = await lease.shell('cat /tmp/in /tmp/in', { env });
    expect([stdout, again.stdout]).toEqual(['text', 'texttext']);
    const running = lease.exec('sleep', ['600'], { env });
    await until(() => lease.container.inspect().programs.length === 1);
    await lease.release();
    expect(await running).toMatchObject({ signal: 'SIGKILL' });
    await lease.release();
    await expect(lease.exec('true')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    expect(pool.stats().used).toBe(0);
  });

  test('a lease whose container was ended leaves its place to the next', async () => {
    await using pool = new Pool({}, { min: 0, max: 1 });
    await using lease = await pool.acquire();
    await lease.container.stop();
    expect((await pool.run('true', [], { env })).exitCode).toBe(0);
  });

  test('a root that is a directory, binds, the host’s network', async () => {
    const root = join(directory, 'root');
    for (const name of ['usr', 'proc', 'dev', 'tmp', 'data'])
      mkdirSync(join(root, name), { recursive: true });
    const data = join(directory, 'data');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'file'), 'bound');
    const mounts = ['/usr:/usr:ro', `${data}:/data:ro`];
    await using pool = await ready({ rootfs: root, mounts, network: 'host' });
    const { stdout } = await pool.run('/usr/bin/busybox', ['cat', '/data/file', '/proc/net/dev']);
    expect(stdout).toContain('bound');
    expect(stdout.split('\n').length).toBe(
      readFileSync('/proc/net/dev', 'utf8').split('\n').length,
    );
  });

  test('its walls stand while it waits', async () => {
    await using pool = await ready();
    await using lease = await pool.acquire();
    const waiting = (await lease.container.top()).at(-1);
    const status = readFileSync(`/proc/${waiting?.pid}/status`, 'utf8');
    expect(status).toMatch(/^Seccomp:\t2$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      expect(status).toMatch(new RegExp(`^Cap${set}:\\t0{16}$`, 'm'));
    expect(status).toMatch(/^NSpid:.*\t2$/m);
  });
});

suite('a pool of another user', [cgroups, manyIds], () => {
  test('is that user before its program is known', async () => {
    await using pool = new Pool({ uid: 1000, gid: 1000, groups: [1001] });
    await until(() => pool.stats().ready === 1);
    const { stdout } = await pool.run('id', [], { env });
    expect(stdout).toMatch(/uid=1000.* gid=1000.* groups=1000.*,1001/);
    await until(() => pool.stats().ready === 1);
    // One that the waiting program is not.
    expect((await pool.run('id', ['-u'], { env, uid: 7 })).stdout).toBe('7\n');
    expect(pool.stats()).toMatchObject({ hits: 2 });
  });
});
