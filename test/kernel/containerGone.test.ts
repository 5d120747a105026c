import { expect, test } from '@jest/globals';
import { createContainer } from '../../lib/container/create.js';
import type { Container } from '../../lib/index.js';
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
