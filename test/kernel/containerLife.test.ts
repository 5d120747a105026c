import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Container,
  type ContainerStats,
  type CreateOptions,
  createContainer,
} from '../../lib/index.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, manyIds, suite } from '../helpers/needs.js';

/** Counts in a file, so that somebody can see whether it gets on. */
const counter = 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.01; done';

/** Its command has come to the place where it makes that file. */
function isReady(box: Container): Promise<void> {
  return until(async () => (await box.fs.readdir('/tmp')).includes('ready'));
}

suite('the life of a container', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    for await (const _ of box.stats()) break;
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  test('two that dispose of it at once, and of a program, do no harm', async () => {
    const box = await createContainer();
    const program = box.spawn('sleep', ['600']);
    await Promise.all([program[Symbol.asyncDispose](), program[Symbol.asyncDispose]()]);
    expect(program.signalCode).toBe('SIGKILL');
    await Promise.all([box[Symbol.asyncDispose](), box[Symbol.asyncDispose]()]);
    await box[Symbol.asyncDispose]();
    expect(box.state).toBe('stopped');
  });

  describe('created and started', () => {
    test('a command waits for start with everything set up, and nothing of it has run', async () => {
      await using box = await createContainer({
        command: ['sh', '-c', 'echo ran'],
        stdio: 'pipe',
        start: false,
      });
      expect(box).toMatchObject({ state: 'created', pid: expect.any(Number) });
      const chunks: Buffer[] = [];
      box.main?.stdout?.on('data', (chunk) => chunks.push(chunk));
      const code = 'ERR_CONTAINER_NOT_RUNNING';
      await expect(box.exec('true')).rejects.toMatchObject({ code });
      expect(() => box.spawn('true')).toThrow(expect.objectContaining({ code }));
      await sleep(50);
      expect(chunks).toEqual([]);
      const closed = new Promise((resolve) => box.main?.once('close', resolve));
      await box.start();
      expect(await box.wait()).toMatchObject({ exitCode: 0, reason: 'exit' });
      await closed;
      expect(Buffer.concat(chunks).toString()).toBe('ran\n');
      await expect(box.start()).rejects.toMatchObject({ code: 'ERR_CONTAINER_STARTED' });
    });

    test('what cannot be executed fails at start', async () => {
      await using box = await createContainer({ command: ['no-such-program'], start: false });
      await expect(box.start()).rejects.toMatchObject({ code: 'ERR_PROGRAM_NOT_FOUND' });
      expect(box.state).toBe('stopped');
    });

    test('one that is never started leaves nothing', async () => {
      const box = await createContainer({ command: ['true'], start: false });
      await box[Symbol.asyncDispose]();
      await box[Symbol.asyncDispose]();
      expect(box.state).toBe('stopped');
      expect(box.kill()).toBe(false);
    });

    test.each<[string, CreateOptions, string]>([
      ['start', { start: false }, 'start'],
      ['stdio', { stdio: 'pipe' }, 'stdio'],
      ['init: false', { init: false }, 'init'],
      ['a pid namespace of others', { namespaces: { pid: 'host' } }, 'namespaces.pid'],
    ])('%s needs a command', async (_, options, option) => {
      await expect(createContainer(options)).rejects.toMatchObject({ option });
    });

    test.each(['..', 'a/b', '', 'x'.repeat(65), 'ä'])('the id %j is refused', async (id) => {
      await expect(createContainer({ id })).rejects.toMatchObject({ option: 'id' });
    });

    test('an id is used once at a time', async () => {
      const id = `life-${process.pid}`;
      await using box = await createContainer({ id });
      await expect(createContainer({ id })).rejects.toMatchObject({ name: 'StateError' });
      expect((await box.exec('true')).exitCode).toBe(0);
      await box[Symbol.asyncDispose]();
      await using again = await createContainer({ id });
      expect(again.id).toBe(id);
    });

    test('an abort leaves nothing', async () => {
      await expect(createContainer({ signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'ABORT_ERR',
      });
      const controller = new AbortController();
      const creation = createContainer({ signal: controller.signal });
      controller.abort();
      await expect(creation).rejects.toMatchObject({ code: 'ABORT_ERR' });
    });
  });

  describe('its end', () => {
    test('stop: our init passes SIGTERM on and ends when all have gone', async () => {
      const box = await createContainer();
      const polite = box.spawn('sh', [
        '-c',
        'trap "echo bye; exit 3" TERM; echo up; while :; do :; done',
      ]);
      const said: string[] = [];
      polite.stdout?.on('data', (chunk) => said.push(String(chunk)));
      await until(() => said.includes('up\n'));
      const closed = new Promise((resolve) => polite.once('close', resolve));
      expect(await box.stop()).toMatchObject({ exitCode: 0, signal: null, reason: 'exit' });
      await closed;
      expect([polite.exitCode, said.join('')]).toEqual([3, 'up\nbye\n']);
    });

    test('killed or stopped before its start, it has ended by SIGKILL', async () => {
      for (const end of ['kill', 'stop'] as const) {
        const box = await createContainer({ command: ['true'], start: false });
        await box[end]();
        expect(await box.wait()).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
        expect(box.inspect().exit).toMatchObject({ reason: 'signal' });
      }
    });

    test('what its processes signal its init goes no further', async () => {
      await using box = await createContainer();
      const other = box.spawn('sleep', ['600']);
      await until(() => other.pid !== undefined);
      await box.shell('kill -TERM 1; kill -USR1 1');
      expect((await box.shell('echo here')).stdout).toBe('here\n');
      expect([other.exitCode, other.signalCode]).toEqual([null, null]);
    });

    test('stop: a timeout that no timer can wait for is refused, and it runs on', async () => {
      await using box = await createContainer();
      for (const timeout of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, -1]) {
        await expect(box.stop({ timeout })).rejects.toMatchObject({ option: 'timeout' });
      }
      expect((await box.shell('echo here')).stdout).toBe('here\n');
    });

    test('stop: SIGKILL for who does not listen', async () => {
      const box = await createContainer({
        command: ['sh', '-c', 'trap "" TERM; echo >/tmp/ready; while :; do sleep 0.05; done'],
      });
      await isReady(box);
      expect(await box.stop({ timeout: 100 })).toMatchObject({ signal: 'SIGKILL' });
    });

    test('the exit code of its command, and a signal to it', async () => {
      await using box = await createContainer({
        // No program in the loop: a signal that comes while dash is in its vfork is forgotten.
        command: ['sh', '-c', 'trap "exit 42" USR1; echo >/tmp/ready; while :; do :; done'],
      });
      await isReady(box);
      box.kill('SIGUSR1');
      expect(await box.wait()).toMatchObject({ exitCode: 42, signal: null, reason: 'exit' });
    });

    test('a signal to one without a command is for every process in it', async () => {
      await using box = await createContainer();
      const script = 'trap "echo heard; exit 3" USR1; echo ready; while :; do :; done';
      const two = [1, 2].map(() => box.spawn('sh', ['-c', script]));
      await Promise.all(two.map(({ stdout }) => new Promise((r) => stdout?.once('data', r))));
      box.kill('SIGUSR1');
      const ends = two.map((program) => new Promise((resolve) => program.once('exit', resolve)));
      expect(await Promise.all(ends)).toEqual([3, 3]);
      expect(box.state).toBe('running');
    });

    test('an endless double fork does not get away', async () => {
      const box = await createContainer({ limits: { pids: 64 } });
      const storm = box.spawn('sh', ['-c', 'f() { (sleep 0.001; f) & }; f; f; f; wait'], {
        stdio: 'ignore',
      });
      await until(() => storm.pid !== undefined);
      await sleep(200);
      const { unified } = box.inspect().cgroup ?? {};
      box.kill();
      await box[Symbol.asyncDispose]();
      await until(() => unified === undefined || !existsSync(unified));
    });

    test('limits of CPU time hold for all of it', async () => {
      await using box = await createContainer({ limits: { cpuTime: 300 } });
      const burn = box.exec('sh', ['-c', 'while :; do :; done']);
      expect(await box.wait()).toMatchObject({ reason: 'cpu-time', signal: 'SIGKILL' });
      expect(await burn).toMatchObject({ signal: 'SIGKILL' });
    });

    test('out of memory is the end of the program that took it, not of the container', async () => {
      await using box = await createContainer({ limits: { memory: '64MiB' } });
      const result = await box.exec('python3', ['-c', 'a = bytearray(300 << 20)']);
      expect(result.reason).toBe('oom');
      expect((await box.exec('echo', ['on'])).stdout).toBe('on\n');
    });
  });

  describe('paused', () => {
    test('nothing gets on, nothing is started, resume lets it', async () => {
      await using box = await createContainer();
      const process = box.spawn('sh', ['-c', counter], { stdio: 'ignore' });
      const count = async () => Number((await box.exec('cat', ['/tmp/count'])).stdout);
      await until(() => process.pid !== undefined);
      await sleep(100);
      await box.pause();
      await box.pause();
      expect(box.state).toBe('paused');
      await expect(box.exec('true')).rejects.toMatchObject({ code: 'ERR_CONTAINER_PAUSED' });
      const usage = async () => (await nextStats(box.stats())).cpu.usageMs;
      // One that counts as frozen may be on its last way off the CPU.
      await until(async () => {
        const before = await usage();
        await sleep(100);
        return (await usage()) === before;
      });
      await box.resume();
      await box.resume();
      const resumed = await count();
      await until(async () => (await count()) > resumed);
    });

    test('a program cannot be spawned while it is paused; what its files are asked waits', async () => {
      await using box = await createContainer();
      await box.fs.writeFile('/tmp/x', 'x');
      const reads = Array.from({ length: 200 }, () => box.fs.readFile('/tmp/x', 'utf8'));
      await box.pause();
      expect(() => box.spawn('true')).toThrow(
        expect.objectContaining({ code: 'ERR_CONTAINER_PAUSED' }),
      );
      await box.resume();
      expect(new Set(await Promise.all(reads))).toEqual(new Set(['x']));
      expect((await box.exec('true')).exitCode).toBe(0);
    });

    test('it can be killed and stopped while it is paused', async () => {
      const box = await createContainer({ command: ['sleep', '600'] });
      await box.pause();
      expect(await box.stop({ timeout: 50 })).toMatchObject({ signal: 'SIGKILL' });
      await expect(box.resume()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
      await expect(box.pause()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    });

    test('an abort while it waits', async () => {
      await using box = await createContainer();
      await expect(box.pause({ signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'ABORT_ERR',
      });
      expect(box.state).toBe('running');
    });
  });

  describe('its limits', () => {
    test('update holds at once, for what runs already', async () => {
      await using box = await createContainer({ limits: { pids: 64, memory: '128MiB' } });
      const forks = 'for i in $(seq 20); do sleep 1 & done; echo done; kill $(jobs -p); wait';
      expect((await box.exec('sh', ['-c', forks])).exitCode).toBe(0);
      await box.update({ limits: { pids: 8, memory: '96MiB' } });
      expect((await box.exec('sh', ['-c', forks])).reason).toBe('pids');
      const stats = await nextStats(box.stats());
      expect(stats.memory.limitBytes).toBe(96 << 20);
      expect(stats.pids.limit).toBe(8);
      await box.update({ limits: { pids: null } });
      expect((await box.exec('sh', ['-c', forks])).exitCode).toBe(0);
    });

    test('update of its CPUs, and limits that are taken away', async () => {
      await using box = await createContainer({ limits: { cpus: 1, memory: '128MiB' } });
      const burn = box.spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
      const held = async () => (await nextStats(box.stats())).cpu.throttledPeriods ?? 0;
      const before = await held();
      await box.update({ limits: { cpus: 0.05 } });
      await until(async () => (await held()) > before + 2);
      await box.update({ limits: { cpus: null, memory: null } });
      const after = await held();
      await sleep(300);
      expect(await held()).toBe(after);
      expect((await nextStats(box.stats())).memory.limitBytes).toBeUndefined();
      await burn[Symbol.asyncDispose]();
    });

    test('update to less than a program has been given is refused where the kernel does', async () => {
      await using box = await createContainer({ limits: { cpus: 1, pids: 64 } });
      const program = box.spawn('sleep', ['600'], { limits: { cpus: 0.5 } });
      await once(program, 'spawn');
      const less = box.update({ limits: { pids: 32, cpus: 0.2 } });
      // v2 has a tree whose limits each hold by themselves; v1 wants the larger one above.
      const refuses = box.inspect().cgroup?.v1.cpu !== undefined;
      if (refuses) await expect(less).rejects.toMatchObject({ code: 'ERR_LIMIT_REFUSED' });
      else await less;
      expect((await nextStats(box.stats())).pids.limit).toBe(refuses ? 64 : 32);
      await program[Symbol.asyncDispose]();
      // Its cgroup goes a little later.
      const again = () => box.update({ limits: { pids: 32, cpus: 0.2 } });
      await until(() =>
        again().then(
          () => true,
          ({ code }) => code !== 'ERR_LIMIT_REFUSED',
        ),
      );
      expect((await nextStats(box.stats())).pids.limit).toBe(32);
    });

    test.each([
      [{ limits: { memory: 'much' } }, 'limits.memory'],
      [{ limits: { nofile: 5 } }, 'limits.nofile'],
      [{ limits: { swap: 5 } }, 'limits.swap'],
      [{}, 'limits'],
      [{ memory: '5MiB' }, 'memory'],
    ])('%j is refused', async (options, option) => {
      await using box = await createContainer();
      await expect(box.update(options as never)).rejects.toMatchObject({ option });
    });
  });

  describe('its files', () => {
    test('what a program has written, and what it is to read', async () => {
      await using box = await createContainer();
      await box.exec('sh', ['-c', 'mkdir /tmp/d; echo in >/tmp/d/file']);
      expect(await box.fs.readFile('/tmp/d/file', 'utf8')).toBe('in\n');
      await box.fs.writeFile('/tmp/d/other', 'out', { mode: 0o600 });
      const { stdout } = await box.exec('sh', [
        '-c',
        'stat -c "%a %u:%g" /tmp/d/other; cat /tmp/d/other',
      ]);
      expect(stdout).toBe('600 0:0\nout');
    });

    suite('behind a user of its own', [manyIds], () => {
      test('the container’s root can neither stop nor end nor trace what serves them', async () => {
        await using box = await createContainer();
        await box.fs.writeFile('/tmp/file', 'text');
        const attack = `for p in /proc/[0-9]*; do
          [ "$(cat $p/comm)" = ringfort-files ] || continue
          kill -STOP \${p#/proc/}; kill -9 \${p#/proc/}; ls $p/fd; cat $p/environ; done 2>&1`;
        const { stdout } = await box.exec('sh', ['-c', attack]);
        expect(stdout.match(/not permitted/g)).toHaveLength(2);
        expect(stdout.match(/Permission denied/g)).toHaveLength(2);
        expect(await box.fs.readFile('/tmp/file', 'utf8')).toBe('text');
      });
    });

    test('paused, and ended', async () => {
      const box = await createContainer();
      await box.fs.stat('/');
      await box.pause();
      await expect(box.fs.stat('/')).rejects.toMatchObject({ code: 'ERR_CONTAINER_PAUSED' });
      await box.resume();
      expect((await box.fs.stat('/')).isDirectory()).toBe(true);
      await box[Symbol.asyncDispose]();
      await expect(box.fs.stat('/')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    });
  });

  test('64 at once', async () => {
    const boxes = await Promise.all(Array.from({ length: 64 }, () => createContainer()));
    const results = await Promise.all(boxes.map((box, i) => box.exec('echo', [String(i)])));
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(boxes.map((_, i) => String(i)));
    await Promise.all(boxes.map((box) => box[Symbol.asyncDispose]()));
  });
});

async function nextStats(stats: AsyncGenerator<ContainerStats>): Promise<ContainerStats> {
  const { value } = await stats.next();
  await stats.return(undefined);
  return value;
}
