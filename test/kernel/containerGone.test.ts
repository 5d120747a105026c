import { afterEach, expect, test } from '@jest/globals';
import { createContainer } from '../../lib/container/create.js';
import { readState } from '../../lib/detached/state.js';
import { Container, type ContainerEvent } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { createElsewhere, leftOf, removeAll, runtimeDir } from '../helpers/detached.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

/** What is left to happen to a call: a result, or the code of its error. */
function outcome(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (result) => (typeof result === 'object' && result !== null ? 'result' : result),
    (error: { code?: string }) => error.code,
  );
}

const ends: Record<string, (box: Container) => unknown> = {
  dispose: (box) => box[Symbol.asyncDispose](),
  kill: (box) => box.kill(),
};

suite('a container that ends while a call starts', [linux, cgroups], () => {
  // Which step is under way differs from one try to the next.
  test.each(Object.entries(ends))('%s: a result, or ERR_CONTAINER_GONE', async (_, end) => {
    const found = new Set<unknown>();
    for (let turns = 0; turns < 12; turns++) {
      await using box = await createContainer();
      const calls = [
        outcome(box.exec('true')),
        outcome(box.fs.readFile('/etc/passwd')),
        outcome(
          new Promise((resolve, reject) => {
            box
              .spawn('true')
              .once('exit', () => resolve({}))
              .once('error', reject);
          }),
        ),
      ];
      for (let wait = 0; wait < turns; wait++) await new Promise(setImmediate);
      end(box);
      for (const each of await Promise.all(calls)) found.add(each);
    }
    found.delete('result');
    expect([...found]).toEqual(['ERR_CONTAINER_GONE']);
  });

  test('a container that ends of itself', async () => {
    for (let turns = 0; turns < 5; turns++) {
      await using box = await createContainer({ command: ['true'], start: false });
      const started = box.start();
      await started;
      const call = outcome((async () => box.exec('true'))());
      expect(['result', 'ERR_CONTAINER_GONE', 'ERR_CONTAINER_NOT_RUNNING']).toContain(await call);
    }
  });
});

/** Every call that it still takes; most need it to run. */
const calls: Record<string, (box: Container) => unknown> = {
  exec: (box) => box.exec('true'),
  shell: (box) => box.shell('true'),
  spawn: (box) => box.spawn('true'),
  'fs.readFile': (box) => box.fs.readFile('/etc/passwd'),
  'fs.watch': (box) => box.fs.watch('/tmp').next(),
  copyOut: (box) => box.copyOut('/etc/passwd', '/nowhere/passwd'),
  copyIn: (box) => box.copyIn('/etc/passwd', '/tmp/passwd'),
  pause: (box) => box.pause(),
  resume: (box) => box.resume(),
  update: (box) => box.update({ limits: { pids: 5 } }),
};
const defined: Record<string, [call: (box: Container) => unknown, result: unknown]> = {
  stats: [(box) => box.stats().next(), { done: true, value: undefined }],
  events: [(box) => box.events().next(), { done: true, value: undefined }],
  // Its first process may still be on its way out.
  top: [
    async (box) => {
      let left = await box.top();
      while (left.length > 0) left = await box.top();
      return left;
    },
    [],
  ],
  kill: [(box) => box.kill(), false],
  state: [(box) => box.inspect().state, 'stopped'],
  dispose: [(box) => box[Symbol.asyncDispose](), undefined],
  'dispose again': [(box) => box[Symbol.asyncDispose](), undefined],
};

async function expectDefined(box: Container): Promise<void> {
  for (const [name, call] of Object.entries(calls))
    expect([name, await outcome((async () => call(box))())]).toEqual([
      name,
      'ERR_CONTAINER_NOT_RUNNING',
    ]);
  for (const [name, [call, result]] of Object.entries(defined))
    expect([name, await call(box)]).toEqual([name, result]);
}

suite('a container that has vanished', [linux, cgroups], () => {
  test.each([
    ['its launcher', async () => (await supervisor()).launcher.pid, 'lost'],
    ['its first process', async (box: Container) => box.pid ?? -1, 'signal'],
  ])('kill -9 of %s: every call ends, with its result or its code', async (_, victim, reason) => {
    const box = await createContainer();
    const told: ContainerEvent[] = [];
    const listening = (async () => {
      for await (const event of box.events()) told.push(event);
    })();
    process.kill(await victim(box), 'SIGKILL');
    const end = async () => (await box.wait()).reason;
    const gone = reason === 'lost' ? 'ERR_LAUNCHER_GONE' : reason;
    expect(await outcome(end())).toBe(gone);
    expect(await outcome(box.stop().then((result) => result.reason))).toBe(gone);
    await expectDefined(box);
    await listening;
    expect(told.at(-1)).toMatchObject({ type: 'died', reason });
  });

  suite('and was detached', [runtimeDir], () => {
    afterEach(removeAll);

    test.each([
      ['its monitor', 'monitorPid', 'lost'],
      ['its first process', 'pid', 'signal'],
    ] as const)('kill -9 of %s', async (_, victim, reason) => {
      const id = await createElsewhere();
      const box = await Container.open(id);
      process.kill(readState(id)[victim], 'SIGKILL');
      expect((await box.wait()).reason).toBe(reason);
      await expectDefined(box);
      await Container.remove(id);
      expect(leftOf(id)).toEqual([]);
      await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
    });
  });
});
