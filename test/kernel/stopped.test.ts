import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readState } from '../../lib/detached/state.js';
import { Container, type CreateOptions, createContainer } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { freshId, leftOf, removeAll, runtimeDir } from '../helpers/detached.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';

const styles: [string, CreateOptions][] = [
  ['an init', {}],
  ['a command', { command: ['sleep', '600'] }],
];

/** Starts calls, and tells how many have settled so far. */
function count(calls: Promise<unknown>[]): () => number {
  let settled = 0;
  for (const call of calls) {
    const settle = () => {
      settled++;
    };
    call.then(settle, settle);
  }
  return () => settled;
}

// SIGSTOP stands for whatever keeps a process from its work: a debugger, a host out of memory.
suite('a party that is stopped for a while', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  test.each(styles)('the launcher, with %s: calls wait, and then go on', async (_, style) => {
    // On a slow machine most of the programs live at the same time.
    await using box = await createContainer({ ...style, limits: { pids: 1000 } });
    const { launcher } = await supervisor();
    process.kill(launcher.pid, 'SIGSTOP');
    try {
      const calls = Array.from({ length: 300 }, (__, i) => box.exec('echo', [`${i}`]));
      const another = createContainer();
      const settled = count([...calls, another]);
      await sleep(500);
      expect(settled()).toBe(0);
      process.kill(launcher.pid, 'SIGCONT');
      const results = await Promise.all(calls);
      expect(results.map(({ stdout }) => stdout)).toEqual(results.map((__, i) => `${i}\n`));
      await (await another)[Symbol.asyncDispose]();
    } finally {
      process.kill(launcher.pid, 'SIGCONT');
    }
  });

  test('an init: its container’s calls wait, others do not, and then they go on', async () => {
    await using box = await createContainer();
    await using other = await createContainer();
    box.kill('SIGSTOP');
    await sleep(50);
    const calls = Array.from({ length: 100 }, (_, i) => box.exec('echo', [`${i}`]));
    const settled = count(calls);
    for (let i = 0; i < 20; i++) expect((await other.exec('true')).exitCode).toBe(0);
    const stopped = settled();
    box.kill('SIGCONT');
    const results = await Promise.all(calls);
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, i) => `${i}\n`));
    // Where ordinary users' programs join, no init is asked.
    if (process.getuid?.() === 0) expect(stopped).toBe(0);
  });

  test('an init whose container is ended meanwhile: calls are refused', async () => {
    const box = await createContainer();
    box.kill('SIGSTOP');
    await sleep(50);
    const calls = Array.from({ length: 20 }, () => box.exec('sleep', ['600']));
    const ends = Promise.allSettled(calls);
    await sleep(50);
    await box[Symbol.asyncDispose]();
    for (const end of await ends) {
      if (end.status === 'fulfilled') expect(end.value.signal).toBe('SIGKILL');
      else expect(end.reason).toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    }
  });

  suite('a monitor', [runtimeDir], () => {
    afterAll(removeAll);

    test('does not hold up for ever who opens its container, which goes on', async () => {
      const id = freshId();
      const command = ['sleep', '600'];
      const made = await createContainer({ detached: true, id, command });
      const { monitorPid } = readState(id);
      process.kill(monitorPid, 'SIGSTOP');
      try {
        const soon = () => ({ signal: AbortSignal.timeout(50) });
        const aborted = { name: 'AbortError', code: 'ABORT_ERR' };
        await expect(Container.open(id, soon())).rejects.toMatchObject(aborted);
        await expect(made.wait(soon())).rejects.toMatchObject(aborted);
        const mend = expect.stringContaining(`kill -CONT ${monitorPid}`);
        const busy = { code: 'ERR_MONITOR_BUSY', hint: mend };
        await Promise.all([
          expect(Container.open(id)).rejects.toMatchObject(busy),
          expect(Container.remove(id, { force: true })).rejects.toMatchObject(busy),
        ]);
        expect((await Container.list()).find((each) => each.id === id)?.state).toBe('running');
      } finally {
        process.kill(monitorPid, 'SIGCONT');
      }
      await using again = await Container.open(id);
      expect((await again.exec('echo', ['on'])).stdout).toBe('on\n');
      await again.remove({ force: true });
      expect(leftOf(id)).toEqual([]);
      await made[Symbol.asyncDispose]();
    });
  });
});
