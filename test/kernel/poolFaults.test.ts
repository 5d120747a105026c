import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { internalsOf } from '../../lib/container/internals.js';
import { createContainer, defaultPath, Pool, type PoolOptions, run } from '../../lib/index.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { type Plan, planFlag, slot } from '../../lib/plan/steps.js';
import { supervisor } from '../../lib/supervisor.js';
import { close } from '../../lib/sys/files.js';
import { isReaped, until } from '../helpers/launches.js';
import { expectNoLeaks, launcherPid, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';

const env = { PATH: defaultPath };

/** A release as the compiler would write it, but for what is changed. */
function releasePlan(changed: Partial<Plan> = {}): Plan {
  return {
    cloneFlags: 0n,
    intoCgroup: slot.none,
    fds: [0, 1, 2],
    slotCount: 3,
    waived: 0,
    flags: planFlag.release,
    prepare: [],
    attend: [],
    child: [
      { op: 'stdio', stdin: 0, stdout: 1, stderr: 2 },
      { op: 'closeAll', keep: slot.none, also: slot.none },
      { op: 'exec', candidates: ['/usr/bin/true'], argv: ['true'], env: [] },
    ],
    teardown: [],
    ...changed,
  };
}

suite('pools and what goes wrong', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await run('true');
    await once(new Worker('', { eval: true }), 'exit');
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  async function ready(options: PoolOptions = {}): Promise<Pool> {
    const pool = new Pool({}, options);
    await until(() => pool.stats().ready === (options.min ?? 1));
    return pool;
  }

  describe('options that are wrong', () => {
    test.each<[string, () => Pool]>([
      ['max', () => new Pool({}, { max: 0 })],
      ['min', () => new Pool({}, { min: 3, max: 2 })],
      ['min', () => new Pool({}, { min: -1 })],
      ['min', () => new Pool({}, { min: 0.5 })],
      ['idleTimeout', () => new Pool({}, { idleTimeout: 2 ** 40 })],
      ['maxUses', () => new Pool({}, { maxUses: 2 as never })],
      ['maxWaiting', () => new Pool({}, { maxWaiting: Number.NaN })],
      ['sizes', () => new Pool({}, { sizes: 1 } as never)],
      ['id', () => new Pool({ id: 'one' } as never)],
      ['command', () => new Pool({ command: ['sleep'] } as never)],
      ['detached', () => new Pool({ detached: true } as never)],
      ['pty', () => new Pool({ pty: { cols: 1, rows: 1 } } as never)],
      ['limits.memory', () => new Pool({ limits: { memory: 'much' } })],
      ['namespaces.pid', () => new Pool({ namespaces: { pid: 'host' } })],
      ['init', () => new Pool({ init: false })],
      [
        'rootfs.upper',
        () => new Pool({ rootfs: { lower: ['/usr'], upper: '/tmp/u', work: '/tmp/w' } }),
      ],
      [
        'seccomp',
        () =>
          new Pool({
            seccomp: {
              defaultAction: 'SCMP_ACT_ALLOW',
              syscalls: [{ names: ['recvmsg'], action: 'SCMP_ACT_ERRNO' }],
            },
          }),
      ],
    ])('%s', (option, make) => {
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION', option }));
    });

    test.each([
      ['timeout', { timeout: 100 }],
      ['signal', { signal: 100 }],
    ])('acquire: %s', async (option, options) => {
      await using pool = new Pool({}, { min: 0 });
      const expected = { code: 'ERR_INVALID_OPTION', option };
      await expect(pool.acquire(options as never)).rejects.toMatchObject(expected);
      expect(pool.stats()).toMatchObject({ size: 0 });
    });

    test('of a use: refused before a container is taken', async () => {
      await using pool = await ready();
      await expect(pool.run('')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
      await expect(pool.run('a\0b')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
      const wrong = { rootfs: 'host' } as never;
      await expect(pool.run('true', [], wrong)).rejects.toMatchObject({ option: 'rootfs' });
      expect(pool.stats()).toMatchObject({ ready: 1, hits: 0, misses: 0 });
    });
  });

  test('a seccomp profile that allows what it takes', async () => {
    const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] } as const;
    await using pool = new Pool({ seccomp: { ...seccomp, syscalls: [] } });
    expect((await pool.run('echo', ['here'], { env })).stdout).toBe('here\n');
  });

  test('what cannot be created: told to who waits, and tried again', async () => {
    const root = mkdtempSync(join(tmpdir(), 'ringfort-pool-'));
    const rootfs = join(root, 'rootfs');
    await using pool = new Pool({ rootfs, mounts: ['/usr:/usr:ro'] }, { min: 1 });
    await expect(pool.run('/usr/bin/true')).rejects.toMatchObject({
      code: 'ERR_SOURCE_NOT_FOUND',
      path: rootfs,
    });
    expect(pool.stats().failed).toBeGreaterThan(0);
    for (const name of ['usr', 'proc', 'dev', 'tmp'])
      mkdirSync(join(rootfs, name), { recursive: true });
    await until(() => pool.stats().ready === 1);
    expect(await pool.run('/usr/bin/busybox', ['true'])).toMatchObject({ exitCode: 0 });
    await pool.close();
    rmSync(root, { recursive: true });
  });

  test('a waiting program that is killed: the container is replaced', async () => {
    await using pool = await ready();
    const { launcher } = await supervisor();
    const exec = jest.spyOn(launcher, 'exec');
    await using another = await ready();
    const parked = exec.mock.results.at(-1)?.value as number;
    exec.mockRestore();
    const told = jest.fn();
    subscribe('ringfort:pool:lost', told);
    launcher.kill(parked);
    await until(() => another.stats().lost === 1);
    unsubscribe('ringfort:pool:lost', told);
    expect(told).toHaveBeenCalledTimes(1);
    await until(() => another.stats().ready === 1);
    expect(pool.stats()).toMatchObject({ ready: 1, lost: 0 });
    expect((await another.run('true', [], { env })).exitCode).toBe(0);
  });

  test('an abort in acquire', async () => {
    await using pool = new Pool({}, { min: 0, max: 1 });
    await using _lease = await pool.acquire();
    await expect(pool.acquire({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await expect(pool.acquire({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    });
    const signal = AbortSignal.timeout(20);
    await expect(pool.run('true', [], { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(pool.stats()).toMatchObject({ waiting: 0, used: 1 });
  });

  describe('close', () => {
    test('at every moment: nothing is left', async () => {
      for (let round = 0; round < 12; round++) {
        const pool = new Pool({}, { min: 2, max: 4 });
        await sleep(round * 3);
        const uses = Promise.allSettled([
          pool.run('sleep', ['600'], { env }),
          pool.acquire(),
          pool.run('yes', [], { env, maxBuffer: 1000 }),
        ]);
        await sleep((round * 7) % 30);
        await pool.close();
        expect(pool.stats()).toMatchObject({ size: 0, waiting: 0 });
        for (const use of await uses)
          if (use.status === 'rejected')
            expect((use.reason as NodeJS.ErrnoException).code).toMatch(
              /^ERR_(POOL_CLOSED|CONTAINER_GONE|CONTAINER_NOT_RUNNING|LAUNCH_DIED)$/,
            );
        await expectNoLeaks(before);
      }
    });

    test('ends what is in use', async () => {
      const pool = await ready({ min: 2 });
      const running = pool.run('sleep', ['600'], { env });
      const lease = await pool.acquire();
      const program = lease.spawn('sleep', ['600'], { env });
      await once(program, 'spawn');
      const ended = once(program, 'close');
      await pool.close();
      expect(await running).toMatchObject({ signal: 'SIGKILL', exitCode: null });
      expect(await ended).toEqual([null, 'SIGKILL']);
      await expect(pool.run('true')).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' });
      await expect(pool.acquire()).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' });
      await pool.close();
    });
  });

  test('a launcher that is killed: who runs hears of it, the others are replaced', async () => {
    await using pool = await ready({ min: 2 });
    const running = pool.run('sleep', ['600'], { env });
    const gone = expect(running).rejects.toMatchObject({ code: 'ERR_LAUNCHER_GONE' });
    await until(() => pool.stats().used === 1 && pool.stats().ready === 2);
    const launcher = await launcherPid();
    await sleep(50);
    process.kill(launcher, 'SIGKILL');
    await gone;
    await until(() => isReaped(launcher));
    await until(() => pool.stats().lost === 2 && pool.stats().ready === 2);
    expect((await pool.run('echo', ['again'], { env })).stdout).toBe('again\n');
    await pool.close();
    before = snapshot();
  });

  test('a worker that ends with its pool', async () => {
    const library = new URL('../../lib/index.js', import.meta.url).href;
    for (let round = 0; round < 6; round++) {
      const thread = new Worker(
        `import('${library}').then(async ({ Pool }) => {
          const pool = new Pool({}, { min: 2, max: 4 });
          const lease = await pool.acquire();
          pool.run('sleep', ['600']).catch(() => {});
          require('node:worker_threads').parentPort.postMessage('busy');
        });`,
        { eval: true },
      );
      await once(thread, 'message');
      await sleep(round * 4);
      await thread.terminate();
      await expectNoLeaks(before);
    }
  });

  test('containers that wait do not keep a process alive', async () => {
    const library = new URL('../../lib/index.js', import.meta.url).href;
    const script = `import('${library}').then(async ({ Pool }) => {
      const pool = new Pool({ limits: { cpuTime: 60_000 } }, { min: 2 });
      await pool.run('true');
    });`;
    const thread = new Worker(script, { eval: true });
    expect(await once(thread, 'exit')).toEqual([0]);
    await expectNoLeaks(before);
  });

  describe('releases that no compiler has written', () => {
    /** A container with a parked program, whose number is told, and how it ends. */
    async function parkedIn() {
      const box = await createContainer();
      const { launcher } = await supervisor();
      const exec = jest.spyOn(launcher, 'exec');
      const parked = await internalsOf(box).programs.park();
      const id = exec.mock.results[0]?.value as number;
      exec.mockRestore();
      return { box, launcher, id, parked };
    }

    const garbage = Buffer.alloc(100, 0xff);
    const good = encodePlan(releasePlan());
    const flagless = encodePlan(releasePlan({ flags: planFlag.inside }));
    const step = (child: Plan['child']) =>
      encodePlan(releasePlan({ child: [...child, ...releasePlan().child] }));
    const unclosed = releasePlan().child.filter(({ op }) => op !== 'closeAll');
    const write = { op: 'mkdir', dir: slot.host, path: 'tmp/x', mode: 0o755, existOk: 0 } as const;

    test.each<[string, Uint8Array, number]>([
      ['garbage', garbage, 3],
      ['nothing', new Uint8Array(), 3],
      ['a part', good.subarray(0, good.length - 8), 3],
      ['two descriptors', good, 2],
      ['four', good, 4],
      ['none', good, 0],
      ['another plan', flagless, 3],
      ['steps that change who it is', step([{ op: 'setuid', uid: 1 }]), 3],
      ['descriptors left open', encodePlan(releasePlan({ child: unclosed })), 3],
      ['more than limits', encodePlan(releasePlan({ prepare: [write] })), 3],
      ['beyond one message', Buffer.concat([good, Buffer.alloc(100 << 10)]), 3],
    ])('%s: it is killed, and nobody else is', async (_name, bytes, count) => {
      const { box, launcher, id, parked } = await parkedIn();
      await using _box = box;
      const nothing = openSync('/dev/null', 'r+');
      launcher.unpark(id, bytes, Array<number>(count).fill(nothing), { sent() {}, lost() {} });
      await parked.died;
      close(nothing);
      expect(await box.exec('true', [], { env })).toMatchObject({ exitCode: 0 });
    });

    test('in place of a plan: refused', async () => {
      const { launcher } = await supervisor();
      const nothing = openSync('/dev/null', 'r+');
      const fds = [nothing, nothing, nothing];
      const refused = () =>
        new Promise<number>((resolve, reject) => {
          const events = { sent() {}, exited() {}, gone() {}, pty() {}, lost: reject };
          const running = () => reject(new Error('it runs'));
          launcher.launch(good, fds, { ...events, running, failed: ({ error }) => resolve(error) });
        });
      expect(await refused()).toBe(constants.errno.EPROTO);
      close(nothing);
    });

    test('twice, and for one that does not wait: without effect on others', async () => {
      const { box, launcher, id } = await parkedIn();
      await using _box = box;
      const events = { sent() {}, lost() {} };
      const running = box.exec('sleep', ['0.1'], { env });
      const nothing = openSync('/dev/null', 'r+');
      launcher.unpark(id, good, [nothing, nothing, nothing], events);
      launcher.unpark(0x7fffffff, good, [nothing, nothing, nothing], events);
      close(nothing);
      const ended = await running.catch((error: NodeJS.ErrnoException) => error.code);
      expect(['ERR_LAUNCH_FAILED', 'exit']).toContain(
        typeof ended === 'string' ? ended : ended?.reason,
      );
      expect(await box.exec('true', [], { env })).toMatchObject({ exitCode: 0 });
    });
  });
});
