import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Container, createContainer, Pool } from '../../lib/index.js';
import { runtimeDir } from '../helpers/detached.js';
import { LayerBench } from '../helpers/layers.js';
import { cgroups, suite } from '../helpers/needs.js';

interface Given {
  box: Container;
  layered: Container;
  detached: Container;
  pool: Pool;
}

const things: Record<string, (given: Given) => Promise<AsyncDisposable> | AsyncDisposable> = {
  'a container': () => createContainer(),
  'a program': ({ box }) => box.spawn('sleep', ['600']),
  'a pool': () => new Pool({}, { min: 1, max: 1 }),
  'a lease': ({ pool }) => pool.acquire(),
  'an open file': ({ box }) => box.fs.open('/tmp/file', 'w'),
};

const iterations: Record<string, (given: Given) => AsyncIterator<unknown> & AsyncDisposable> = {
  stats: ({ box }) => box.stats({ interval: 600_000 }),
  events: ({ box }) => box.events(),
  watch: ({ box }) => box.fs.watch('/tmp'),
  diff: ({ layered }) => layered.diff(),
  logs: ({ detached }) => detached.logs({ follow: true }),
};

suite('what is disposed of', [cgroups, runtimeDir], () => {
  let bench: LayerBench;
  let given: Given;
  beforeAll(async () => {
    bench = new LayerBench({ 'data/file': 'old' });
    given = {
      box: await createContainer(),
      layered: await createContainer(bench.options),
      detached: await createContainer({ detached: true, command: ['sleep', '600'] }),
      pool: new Pool({}, { min: 1, max: 1 }),
    };
  });
  afterAll(async () => {
    await given.detached.remove({ force: true });
    for (const each of [given.box, given.layered, given.pool]) await each[Symbol.asyncDispose]();
    await bench.remove();
  });

  test.each(Object.keys(things))('%s: twice is once, at one time and later', async (name) => {
    const thing = await (things[name] as (typeof things)[string])(given);
    await Promise.all([thing[Symbol.asyncDispose](), thing[Symbol.asyncDispose]()]);
    await thing[Symbol.asyncDispose]();
  });

  test.each(Object.keys(iterations))('%s: also while it waits', async (name) => {
    const iterate = iterations[name] as (typeof iterations)[string];
    const iteration = iterate(given);
    // The only one that has something to say at once.
    if (name === 'stats') expect(await iteration.next()).toMatchObject({ done: false });
    const pending = iteration.next();
    await Promise.all([iteration[Symbol.asyncDispose](), iteration[Symbol.asyncDispose]()]);
    expect(await pending).toEqual({ done: true, value: undefined });
    await iteration[Symbol.asyncDispose]();
    expect(await iteration.next()).toEqual({ done: true, value: undefined });
  });
});
