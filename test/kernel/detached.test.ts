import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { readState } from '../../lib/detached/state.js';
import { Container, createContainer } from '../../lib/index.js';
import {
  createElsewhere,
  ended,
  firstLine,
  freshId,
  leftOf,
  otherProcess,
  removeAll,
  runtimeDir,
} from '../helpers/detached.js';
import { hasEnded, until } from '../helpers/launches.js';
import { expectNoLeaks, snapshot } from '../helpers/leaks.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

const idle = ['sleep', '1000'];
const limits = { memory: '64MiB' };

suite('detached containers', [linux, cgroups, runtimeDir], () => {
  afterEach(removeAll);

  test('one outlives the process that created it; another one uses and ends it', async () => {
    const id = await createElsewhere({ labels: { app: 'web', tier: 'x' }, limits });
    const [found, ...more] = await Container.list({ labels: { app: 'web' } });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id, state: 'running', labels: { app: 'web', tier: 'x' } });
    expect(await Container.list({ labels: { app: 'other' } })).toEqual([]);

    const box = await Container.open(id);
    expect(box).toMatchObject({ id, state: 'running', detached: true, pid: found?.pid });
    expect(box.isolation?.enforced).toContain('limit:memory.limit');
    const result = await box.exec('sh', ['-c', 'cat; hostname; exit 5'], { input: 'in\n' });
    expect(result).toMatchObject({ stdout: `in\n${id}\n`, exitCode: 5, reason: 'exit' });
    expect(await box.stop()).toMatchObject({ exitCode: 0, reason: 'exit' });
    expect(box.state).toBe('stopped');
    await box.remove();
    expect(leftOf(id)).toEqual([]);
  });

  test('the status of its end is kept until it is removed', async () => {
    const id = await createElsewhere({ command: ['sh', '-c', 'exit 42'] });
    const first = await Container.open(id);
    expect(await first.wait()).toMatchObject({ exitCode: 42, signal: null, reason: 'exit' });
    await until(() => hasEnded(readState(id).monitorPid));
    const again = await Container.open(id);
    expect(again).toMatchObject({ state: 'stopped', pid: undefined });
    const exit = await again.wait();
    expect(exit).toMatchObject({ exitCode: 42, reason: 'exit' });
    expect(exit.usage.cpuTimeMs).toBeGreaterThan(0);
    await expect(again.exec('true')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    expect(again.kill()).toBe(false);
    expect((await Container.list()).map((each) => each.id)).not.toContain(id);
    expect((await Container.list({ all: true })).find((each) => each.id === id)).toMatchObject({
      state: 'stopped',
      exit: { exitCode: 42 },
      endedAt: expect.any(Number),
    });
    await again.remove();
    expect(again.kill()).toBe(false);
    await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  });

  test('it outlives a creator that is killed; what that has started in it does not', async () => {
    const id = freshId();
    const creator = otherProcess('stay', JSON.stringify({ id, command: idle }));
    await firstLine(creator);
    const user = otherProcess('spawn', id);
    const pid = Number(await firstLine(user));
    expect(hasEnded(pid)).toBe(false);
    creator.kill('SIGKILL');
    expect(await ended(creator)).toEqual([null, 'SIGKILL']);
    const box = await Container.open(id);
    expect(hasEnded(pid)).toBe(false);
    user.kill('SIGKILL');
    await until(() => hasEnded(pid));
    expect((await box.exec('echo', ['there'])).stdout).toBe('there\n');
    box.kill();
    expect(await box.wait()).toMatchObject({ exitCode: null, signal: 'SIGKILL', reason: 'signal' });
    await box.remove();
    expect(leftOf(id)).toEqual([]);
  });

  test('several processes and connections use one at once, with the same numbers', async () => {
    const id = await createElsewhere();
    const boxes = await Promise.all(Array.from({ length: 8 }, () => Container.open(id)));
    const runs = boxes.flatMap((box, n) =>
      [0, 1, 2].map((m) => box.exec('sh', ['-c', `sleep 0.05; echo ${n}.${m}`])),
    );
    const out = (await Promise.all(runs)).map(({ stdout }) => stdout);
    expect(out).toEqual(boxes.flatMap((_, n) => [0, 1, 2].map((m) => `${n}.${m}\n`)));
    const ends = boxes.map((box) => box.wait());
    boxes[3]?.kill();
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ signal: 'SIGKILL' });
    await boxes[0]?.remove();
    expect(leftOf(id)).toEqual([]);
  });

  test('the creator is one more that uses it, and letting go ends only what it started', async () => {
    const id = freshId();
    const box = await createContainer({ detached: true, id });
    const child = box.spawn('sleep', ['1000']);
    const gone = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
    });
    await once(child, 'spawn');
    const { pid = 0 } = child;
    child.on('error', () => {});
    await box[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
    await gone;
    await until(() => hasEnded(pid));
    expect(box.state).toBe('running');
    await expect(box.wait()).rejects.toMatchObject({ code: 'ERR_DISCONNECTED' });
    await expect(box.exec('true')).rejects.toMatchObject({ code: 'ERR_DISCONNECTED' });
    await expect(box.stop()).rejects.toMatchObject({ code: 'ERR_DISCONNECTED' });
    for (const signal of ['SIGKILL', 'SIGTERM'] as const)
      expect(() => box.kill(signal)).toThrow(expect.objectContaining({ code: 'ERR_DISCONNECTED' }));
    const again = await Container.open(id);
    expect((await again.exec('echo', ['1'])).stdout).toBe('1\n');
    await expect(again.remove()).rejects.toMatchObject({ code: 'ERR_CONTAINER_RUNNING' });
    await again.remove({ force: true });
    expect(leftOf(id)).toEqual([]);
  });

  test('paused by one is paused for all', async () => {
    const id = freshId();
    await using box = await createContainer({ detached: true, id });
    await using other = await Container.open(id);
    await box.pause();
    expect(other.state).toBe('paused');
    await expect(other.exec('true')).rejects.toMatchObject({ code: 'ERR_CONTAINER_PAUSED' });
    expect((await Container.list()).find((each) => each.id === id)?.state).toBe('paused');
    await using third = await Container.open(id);
    expect(third.state).toBe('paused');
    await third.resume();
    expect([box.state, other.state]).toEqual(['running', 'running']);
    expect((await other.exec('echo', ['on'])).stdout).toBe('on\n');
    await box.remove({ force: true });
  });

  test('an id is used once, as long as anything of it is kept', async () => {
    const id = await createElsewhere({ command: ['true'] });
    const taken = { code: 'ERR_CONTAINER_EXISTS' };
    await expect(createContainer({ detached: true, id })).rejects.toMatchObject(taken);
    const box = await Container.open(id);
    await box.wait();
    await expect(createContainer({ detached: true, id })).rejects.toMatchObject(taken);
    await box.remove();
    const next = await createContainer({ detached: true, id });
    await next.remove({ force: true });
    const both = await Promise.allSettled(
      [1, 2].map(() => createContainer({ detached: true, id })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await Container.remove(id, { force: true });
  });

  test('programs of a container without our init join it', async () => {
    const id = await createElsewhere({ command: idle, env: { NAME: 'value' } });
    const box = await Container.open(id);
    const { stdout } = await box.exec('sh', ['-c', 'echo $NAME; cat /proc/1/comm']);
    expect(stdout).toBe('value\nsleep\n');
    expect(await box.stop({ timeout: 50 })).toMatchObject({ signal: 'SIGKILL' });
    await box.remove();
  });

  test('what one process pauses another one sees, and resumes', async () => {
    const id = await createElsewhere();
    const stateOf = async () => (await Container.list()).find((each) => each.id === id)?.state;
    const first = await Container.open(id);
    await first.pause();
    expect(await stateOf()).toBe('paused');
    const second = await Container.open(id);
    expect(second.state).toBe('paused');
    await expect(second.exec('true')).rejects.toMatchObject({ code: 'ERR_CONTAINER_PAUSED' });
    await second.resume();
    expect([second.state, await stateOf()]).toEqual(['running', 'running']);
    expect((await second.exec('echo', ['on'])).stdout).toBe('on\n');
    await second.pause();
    await second.remove({ force: true });
    expect(leftOf(id)).toEqual([]);
  });

  test('with two containers, neither has the other’s ids', async () => {
    const boxes = await Promise.all(
      [freshId(), freshId()].map((id) => createContainer({ detached: true, id })),
    );
    const maps = boxes.map(({ pid }) => readFileSync(`/proc/${pid}/uid_map`, 'utf8'));
    const own = boxes.every(({ isolation }) => isolation?.enforced.includes('ids:own-range'));
    if (own) expect(maps[0]).not.toBe(maps[1]);
    const third = await createContainer({ id: freshId() });
    if (own) expect(maps).not.toContain(readFileSync(`/proc/${third.pid}/uid_map`, 'utf8'));
    await third[Symbol.asyncDispose]();
    await Promise.all(boxes.map((box) => box.remove({ force: true })));
  });

  test('nothing is left of many', async () => {
    const warm = await createContainer({ detached: true, id: freshId() });
    await warm.remove({ force: true });
    const before = snapshot();
    for (let round = 0; round < 3; round++) {
      const boxes = await Promise.all(
        Array.from({ length: 4 }, () => createContainer({ detached: true, id: freshId() })),
      );
      await Promise.all(boxes.map((box) => box.exec('true')));
      await Promise.all(boxes.map((box) => box.remove({ force: true })));
      for (const { id } of boxes) expect(leftOf(id)).toEqual([]);
    }
    await expectNoLeaks(before);
  });

  test.each([
    [{ start: false, command: ['true'] }, 'start'],
    [{ limits: { cpuTime: 1000 } }, 'limits.cpuTime'],
    [{ logs: { maxFiles: 0 } }, 'logs.maxFiles'],
    [{ logs: { maxSize: 1 } }, 'logs.maxSize'],
    [{ detached: false, logs: {} }, 'logs'],
    [{ stdio: 'pipe' as const }, 'stdio'],
  ])('%j is refused', async (options, option) => {
    const id = freshId();
    const refused = createContainer({ detached: true, id, ...options });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', option });
    expect(leftOf(id)).toEqual([]);
  });

  test('a command that cannot be executed leaves nothing', async () => {
    const id = freshId();
    const before = snapshot();
    const refused = createContainer({ detached: true, id, command: ['/not/there'] });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_PROGRAM_NOT_FOUND' });
    expect(leftOf(id)).toEqual([]);
    await expectNoLeaks(before);
  });

  test('a signal gives the creation up', async () => {
    const id = freshId();
    const controller = new AbortController();
    const refused = createContainer({ detached: true, id, signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(refused).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(leftOf(id)).toEqual([]);
  });

  test.each(['nope', '../x', '', 'a/b', 'x'.repeat(65)])('%j is not found', async (id) => {
    await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  });

  test('what is not detached says so', async () => {
    await using box = await createContainer();
    expect(box.detached).toBe(false);
    expect(() => box.logs()).toThrow(expect.objectContaining({ code: 'ERR_NOT_DETACHED' }));
    await expect(box.attach()).rejects.toMatchObject({ code: 'ERR_NOT_DETACHED' });
    await expect(box.remove()).rejects.toMatchObject({ code: 'ERR_NOT_DETACHED' });
  });
});
