import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type Container,
  type ContainerEvent,
  type ContainerStats,
  createContainer,
} from '../../lib/index.js';
import { blockDevicePath } from '../helpers/blockDevice.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { blockDevice, cgroups, type Requirement, root, suite } from '../helpers/needs.js';

/** Number of the block device that temporary files are on: `major:minor`. */
function temporaryDevice(): string {
  const { dev } = statSync(tmpdir());
  return `${dev >> 8}:${dev & 0xff}`;
}

const disk: Requirement = {
  name: 'temporary files on a block device',
  check: () => (temporaryDevice().startsWith('0:') ? `${tmpdir()} is on none` : undefined),
};

suite('what a container tells', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    for await (const _ of box.stats()) break;
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  test('stats rise with known work', async () => {
    await using box = await createContainer({ limits: { memory: '128MiB' } });
    const seen: ContainerStats[] = [];
    let burn: ReturnType<typeof box.spawn> | undefined;
    for await (const stats of box.stats({ interval: 100 })) {
      burn ??= box.spawn('python3', ['-c', 'a = bytearray(40 << 20)\nwhile True: pass']);
      seen.push(stats);
      // memory.stat follows memory.current: the kernel adds its parts up every two seconds.
      const { usageMs } = stats.cpu;
      const { currentBytes, breakdown } = stats.memory;
      const memory = Math.min(currentBytes ?? 0, breakdown.anonBytes ?? 0);
      if ((usageMs ?? 0) > 300 && memory > 40 << 20) break;
    }
    const last = seen.at(-1);
    expect(last?.pids.current).toBeGreaterThanOrEqual(1);
    expect(last?.memory.limitBytes).toBe(128 << 20);
    expect(last?.cpu.usageMs).toBeGreaterThan(seen[0]?.cpu.usageMs ?? 0);
    expect(last?.memory.peakBytes).toBeGreaterThan(40 << 20);
    expect(last?.memory.breakdown.anonBytes).toBeGreaterThan(40 << 20);
    await burn?.[Symbol.asyncDispose]();
  });

  test('stats end with the container, with an abort, and when nobody wants more', async () => {
    const box = await createContainer();
    const stats = box.stats({ interval: 10 });
    await stats.next();
    await stats.return();
    const controller = new AbortController();
    const aborted = box.stats({ interval: 60_000, signal: controller.signal });
    await aborted.next();
    const next = aborted.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const rare = box.stats({ interval: 600_000 });
    await rare.next();
    const left = rare.next();
    await rare.return();
    expect(await left).toEqual({ done: true, value: undefined });
    const last = box.stats({ interval: 600_000 });
    await last.next();
    const ending = last.next();
    let rounds = 0;
    let late = 0;
    let over = false;
    box.wait().then(() => {
      over = true;
    });
    for await (const _ of box.stats({ interval: 10 })) {
      if (++rounds === 3) box.kill();
      if (over) late++;
    }
    expect(late).toBeLessThanOrEqual(1);
    expect(await ending).toEqual({ done: true, value: undefined });
    const after = box.stats();
    expect(await after.next()).toEqual({ done: true, value: undefined });
    expect(() => box.stats({ interval: -1 })).toThrow(
      expect.objectContaining({ option: 'interval' }),
    );
  });

  test('events in their order', async () => {
    const box = await createContainer({
      command: ['sleep', '600'],
      start: false,
      limits: { memory: '64MiB', pids: 16 },
    });
    const events: ContainerEvent[] = [];
    const listening = (async () => {
      for await (const event of box.events()) events.push(event);
    })();
    await box.start();
    await box.exec('true');
    await box.exec('python3', ['-c', 'a = bytearray(300 << 20)']);
    await box.exec('sh', ['-c', 'for i in $(seq 40); do sleep 1 & done']);
    await box.pause();
    await box.resume();
    await box.update({ limits: { pids: 20 } });
    await box.stop({ timeout: 0 });
    await listening;
    const types = events.map(({ type }) => type);
    expect(types[0]).toBe('started');
    expect(types.at(-1)).toBe('died');
    expect(types.filter((type) => type === 'exec')).toHaveLength(3);
    expect(types.filter((type) => type === 'exec-died')).toHaveLength(3);
    for (const type of ['oom', 'pids-limit', 'paused', 'resumed', 'updated'])
      expect([type, types.includes(type as ContainerEvent['type'])]).toEqual([type, true]);
    const [program] = events.filter((event) => event.type === 'exec');
    expect(program).toMatchObject({ id: box.id, command: ['true'], pid: expect.any(Number) });
    const ends = events.filter((event) => event.type === 'exec-died');
    expect(ends[0]).toMatchObject({ exitCode: 0, signal: null, reason: 'exit' });
    expect(ends[0]?.execId).toBe(program?.execId);
    expect(ends[1]).toMatchObject({ signal: 'SIGKILL', reason: 'oom' });
    expect(events[0]).toMatchObject({ pid: expect.any(Number) });
    expect(events.at(-1)).toMatchObject({ signal: 'SIGKILL' });
    const total = (type: 'oom' | 'memory-limit') =>
      events.reduce((sum, event) => sum + (event.type === type ? event.count : 0), 0);
    expect(total('oom')).toBeGreaterThanOrEqual(1);
    // A v1 kernel may not count it (6.18).
    if (types.includes('memory-limit') || box.inspect().cgroup?.v1.memory === undefined)
      expect(total('memory-limit')).toBeGreaterThanOrEqual(1);
    await box[Symbol.asyncDispose]();
  });

  test('events: an abort, a reader that leaves, one that comes too late', async () => {
    const box = await createContainer();
    const controller = new AbortController();
    const next = box.events({ signal: controller.signal }).next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'ABORT_ERR' });
    for (const iterator of [box.events(), box.events()]) await iterator.return?.();
    {
      await using events = box.events();
      expect(events).toBe(events[Symbol.asyncIterator]());
    }
    await box[Symbol.asyncDispose]();
    expect(await box.events().next()).toEqual({ done: true, value: undefined });
  });

  test.each([
    ['with our init', {}],
    ['with a command', { command: ['sleep', '600'] }],
  ])('a program that wants more CPU than it may have is throttled: %s', async (_, options) => {
    await using box = await createContainer({ ...options, limits: { cpus: 0.05 } });
    const burn = box.spawn('sh', ['-c', 'while :; do :; done']);
    let throttled: ContainerEvent | undefined;
    for await (const event of box.events()) {
      throttled = event;
      if (event.type === 'throttled') break;
    }
    expect(throttled).toMatchObject({ type: 'throttled', id: box.id, count: expect.any(Number) });
    await burn[Symbol.asyncDispose]();
  });

  test('what it waits for, where the kernel tells', async () => {
    await using box = await createContainer({ limits: { cpus: 0.05 } });
    const burn = box.spawn('sh', ['-c', 'while :; do :; done & while :; do :; done']);
    const waited = async () => (await nextStats(box)).pressure.cpu?.some.totalUs;
    const before = await waited();
    // A kernel may be without it.
    if (before === undefined)
      expect(existsSync('/proc/pressure/cpu') && hasUnified(box)).toBe(false);
    else await until(async () => ((await waited()) ?? 0) > before);
    await burn[Symbol.asyncDispose]();
  });

  test('inspect and top', async () => {
    const annotations = { 'org.example.job': '7' };
    await using box = await createContainer({ labels: { for: 'a test' }, annotations });
    const process = box.spawn('sleep', ['600']);
    await until(() => process.pid !== undefined);
    expect(box.inspect()).toMatchObject({
      id: box.id,
      state: 'running',
      labels: { for: 'a test' },
      programs: [{ pid: process.pid, command: ['sleep', '600'] }],
      annotations,
      spec: { ociVersion: '1.2.0' },
    });
    expect(JSON.parse(JSON.stringify(box.inspect()))).toMatchObject({ id: box.id });
    await box.fs.access('/');
    const top = await box.top();
    const names = top.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['ringfort-init', 'ringfort-files', 'sleep']));
    expect(top.map(({ pid }) => pid)).toEqual(expect.arrayContaining([box.pid, process.pid]));
    const program = top.find(({ command }) => command.join(' ') === 'sleep 600');
    // A user's program that has joined has a process of ours before it.
    expect([program?.pid, program?.parent]).toContain(process.pid);
  });
});

suite('what a container tells of block devices', [cgroups, disk], () => {
  test('bytes and calls of what it wrote', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    chmodSync(directory, 0o777);
    try {
      // The limit, far away, has the kernel count on v1, too.
      const io = [{ device: temporaryDevice(), writeBps: '1GiB' }];
      await using box = await createContainer({ limits: { io }, mounts: [`${directory}:/data`] });
      expect((await nextStats(box)).io.writeBytes ?? 0).toBe(0);
      const output = ['of=/data/file', 'oflag=direct', 'bs=64k', 'count=16'];
      await box.exec('dd', ['if=/dev/zero', ...output], { reject: true });
      const { writeBytes = 0, writeOps = 0 } = (await nextStats(box)).io;
      expect(writeBytes).toBeGreaterThanOrEqual(1 << 20);
      expect(writeBytes).toBeLessThan(2 << 20);
      expect(writeOps).toBeGreaterThanOrEqual(16);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

suite('limits of block devices that are named by path', [cgroups], () => {
  const io = (device: string) => ({ limits: { io: [{ device, writeBps: '1MiB' }] } });
  const refused = { code: 'ERR_INVALID_OPTION', option: 'limits.io' };

  test('are looked up for a program and for an update, too', async () => {
    await using box = await createContainer();
    for (const device of ['/dev/null', '/nonexistent']) {
      await expect(box.exec('true', [], io(device))).rejects.toMatchObject(refused);
      await expect(box.update(io(device))).rejects.toMatchObject(refused);
    }
    const swap = { code: 'ERR_INVALID_OPTION', option: 'limits.swap' };
    const call = box.exec('true', [], { limits: { swap: '1MiB' } });
    await expect(call).rejects.toMatchObject(swap);
  });
});

suite('such limits where there is a block device', [root, cgroups, blockDevice], () => {
  test('hold for a program and after an update', async () => {
    const device = blockDevicePath() ?? '';
    const number = readFileSync(`/sys/block/${basename(device)}/dev`, 'utf8').trim();
    await using box = await createContainer();
    const { unified = '', v1 = {} } = box.inspect().cgroup ?? {};
    const file =
      v1.blkio === undefined
        ? join(unified, 'io.max')
        : join(v1.blkio, 'blkio.throttle.write_bps_device');
    await box.update({ limits: { io: [{ device, writeBps: '1MiB' }] } });
    expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`^${number} .*${1 << 20}`, 'm'));
    const program = box.spawn('cat', { limits: { io: [{ device, writeBps: '2MiB' }] } });
    await once(program, 'spawn');
    const own = readdirSync(dirname(file))
      .map((name) => join(dirname(file), name, basename(file)))
      .filter(existsSync)
      .map((path) => readFileSync(path, 'utf8'));
    expect(own.join()).toMatch(new RegExp(`^${number} .*${2 << 20}`, 'm'));
    await program[Symbol.asyncDispose]();
  });
});

const hasUnified = (box: Container) => box.inspect().cgroup?.unified !== undefined;

async function nextStats(box: Container): Promise<ContainerStats> {
  for await (const stats of box.stats()) return stats;
  throw new Error('no stats');
}
