import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { StateError } from '../../lib/errors.js';
import { type Listener, type Maker, Stock, type StockLimits } from '../../lib/pool/stock.js';

interface Thing {
  name: number;
}

/** A maker that makes when it is told to. */
class Bench implements Maker<Thing> {
  made = 0;
  readonly making: { give(): Thing; fail(error: unknown): void }[] = [];
  readonly ended: number[] = [];
  readonly deaths = new Map<Thing, () => void>();
  readonly ends = new Map<Thing, () => void>();
  aborted = 0;
  endWith: () => Promise<void> = () => Promise.resolve();

  make(signal: AbortSignal): Promise<Thing> {
    return new Promise((resolve, reject) => {
      let given = false;
      signal.addEventListener('abort', () => {
        if (!given) this.aborted++;
        reject(new Error('aborted'));
      });
      const fail = reject;
      const give = () => {
        const thing = { name: ++this.made };
        given = true;
        resolve(thing);
        return thing;
      };
      this.making.push({ give, fail });
    });
  }

  async end({ name }: Thing): Promise<void> {
    this.ended.push(name);
    await this.endWith();
  }

  died(thing: Thing): Promise<void> {
    return new Promise((resolve) => this.deaths.set(thing, resolve));
  }

  gone(thing: Thing): Promise<void> {
    return new Promise((resolve) => this.ends.set(thing, resolve));
  }

  /** Makes the next that is asked for. */
  async give(): Promise<Thing> {
    const next = this.making.shift();
    if (next === undefined) throw new Error('nothing is asked for');
    const thing = next.give();
    await turn();
    return thing;
  }

  async fail(error: unknown): Promise<void> {
    this.making.shift()?.fail(error);
    await turn();
  }
}

const quiet = { acquired() {}, changed() {}, failed() {}, lost() {} };

function stock(limits: Partial<StockLimits> = {}, listener: Listener = quiet) {
  const bench = new Bench();
  const all = { min: 1, max: 4, idleTimeout: 1000, maxWaiting: 3, ...limits };
  return { bench, stock: new Stock(bench, all, listener) };
}

describe('a stock', () => {
  // What is asked for by a timer only; promises and turns of the loop go on.
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('makes what it keeps ready, two at a time', async () => {
    const { bench, stock: pool } = stock({ min: 3 });
    expect(bench.making).toHaveLength(2);
    await bench.give();
    expect(bench.making).toHaveLength(2);
    await bench.give();
    await bench.give();
    expect(bench.making).toHaveLength(0);
    expect(pool.stats).toMatchObject({ size: 3, ready: 3, creating: 0, used: 0 });
  });

  test('gives what waits at once, and makes another a moment later', async () => {
    const { bench, stock: pool } = stock();
    const first = await bench.give();
    expect(await pool.take()).toBe(first);
    expect(bench.making).toHaveLength(0);
    jest.advanceTimersByTime(10);
    expect(bench.making).toHaveLength(1);
    expect(pool.stats).toMatchObject({ size: 2, used: 1, creating: 1, hits: 1, misses: 0 });
  });

  test('a member is given once, and ended after its use', async () => {
    const { bench, stock: pool } = stock({ min: 0 });
    const taken = pool.take();
    const thing = await bench.give();
    expect(await taken).toBe(thing);
    await pool.done(thing);
    await pool.done(thing);
    expect(bench.ended).toEqual([1]);
    expect(pool.stats).toMatchObject({ size: 0, misses: 1 });
  });

  test('who waits is served in order, and no more than max are there', async () => {
    const { bench, stock: pool } = stock({ min: 0, max: 2 });
    const takes = [pool.take(), pool.take(), pool.take()];
    expect(bench.making).toHaveLength(2);
    const first = await bench.give();
    await bench.give();
    expect(await takes[0]).toBe(first);
    expect(bench.making).toHaveLength(0);
    expect(pool.stats).toMatchObject({ size: 2, used: 2, waiting: 1 });
    await pool.done(first);
    await bench.give();
    expect((await takes[2])?.name).toBe(3);
  });

  test('one that is being ended still counts', async () => {
    const { bench, stock: pool } = stock({ min: 0, max: 1 });
    const taken = pool.take();
    const thing = await bench.give();
    await taken;
    let ended = () => {};
    bench.endWith = () =>
      new Promise((resolve) => {
        ended = resolve;
      });
    const done = pool.done(thing);
    const next = pool.take();
    await turn();
    expect(bench.making).toHaveLength(0);
    ended();
    await done;
    await bench.give();
    expect((await next).name).toBe(2);
  });

  test('one that has ended in use gives its place up', async () => {
    const { bench, stock: pool } = stock({ min: 0, max: 1 });
    const taken = pool.take();
    const thing = await bench.give();
    await taken;
    const next = pool.take();
    bench.ends.get(thing)?.();
    await turn();
    expect(bench.ended).toEqual([1]);
    await bench.give();
    expect((await next).name).toBe(2);
    await pool.done(thing);
    expect(pool.stats).toMatchObject({ size: 1, used: 1, lost: 0 });
  });

  test.each(['lost', 'trimmed'])('so does one that was never used: %s', async (how) => {
    const { bench, stock: pool } = stock({ min: how === 'lost' ? 1 : 0, max: 1, idleTimeout: 500 });
    const controller = new AbortController();
    if (how === 'trimmed') {
      const waits = pool.take(controller.signal).catch(() => {});
      controller.abort();
      await waits;
    }
    const thing = await bench.give();
    let ended = () => {};
    bench.endWith = () =>
      new Promise((resolve) => {
        ended = resolve;
      });
    if (how === 'lost') bench.deaths.get(thing)?.();
    else jest.advanceTimersByTime(600);
    await turn();
    expect(bench.ended).toEqual([1]);
    expect(pool.stats).toMatchObject({ size: 1, ready: 0, used: 0 });
    const next = pool.take();
    await turn();
    expect(bench.making).toHaveLength(0);
    ended();
    await turn();
    await bench.give();
    expect((await next).name).toBe(2);
  });

  test('who aborts a wait when it hears of its end takes nobody else’s place', async () => {
    const controller = new AbortController();
    const aborts = { ...quiet, acquired: () => controller.abort() };
    const { bench, stock: pool } = stock({ min: 0 }, aborts);
    const first = pool.take(controller.signal);
    const second = pool.take();
    const one = await bench.give();
    expect(await first).toBe(one);
    expect(pool.stats).toMatchObject({ used: 1, waiting: 1 });
    const two = await bench.give();
    expect(await second).toBe(two);
  });

  test('the queue is bounded', async () => {
    const { stock: pool } = stock({ min: 0, max: 1, maxWaiting: 1 });
    const waits = [pool.take(), pool.take()];
    await expect(pool.take()).rejects.toMatchObject({ code: 'ERR_POOL_FULL' });
    const refused = waits.map((each) =>
      expect(each).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' }),
    );
    await pool.close();
    await Promise.all(refused);
  });

  test('who has one made for it is none of those that wait', async () => {
    const { bench, stock: pool } = stock({ min: 0, max: 2, maxWaiting: 0 });
    const takes = [pool.take(), pool.take()];
    await expect(pool.take()).rejects.toMatchObject({ code: 'ERR_POOL_FULL' });
    const first = await bench.give();
    await bench.give();
    expect(await takes[0]).toBe(first);
    await expect(pool.take()).rejects.toMatchObject({ code: 'ERR_POOL_FULL' });
    await pool.done(first);
    const next = pool.take();
    await bench.give();
    expect((await next).name).toBe(3);
  });

  test('an abort ends the wait; what was made for it stays', async () => {
    const { bench, stock: pool } = stock({ min: 0 });
    const controller = new AbortController();
    const waits = pool.take(controller.signal);
    controller.abort();
    await expect(waits).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    await expect(pool.take(controller.signal)).rejects.toMatchObject({ name: 'AbortError' });
    const thing = await bench.give();
    expect(pool.stats).toMatchObject({ ready: 1, waiting: 0 });
    expect(await pool.take()).toBe(thing);
  });

  test('a failure is told to who waits longest; the others are served', async () => {
    const { bench, stock: pool } = stock({ min: 0 });
    const [first, second] = [pool.take(), pool.take()];
    const error = new StateError('ERR_TEST', 'no');
    const told = expect(first).rejects.toBe(error);
    await bench.fail(error);
    await told;
    const thing = await bench.give();
    expect(await second).toBe(thing);
    expect(pool.stats).toMatchObject({ failed: 1, creating: 0 });
  });

  test('in the background it tries again, ever more slowly', async () => {
    const { bench } = stock();
    const pauses: number[] = [];
    for (let i = 0; i < 12; i++) {
      await bench.fail(new Error('no'));
      let waited = 0;
      while (bench.making.length === 0) {
        jest.advanceTimersByTime(100);
        waited += 100;
      }
      pauses.push(waited);
    }
    expect(pauses.slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
    expect(pauses.slice(-2)).toEqual([30_000, 30_000]);
  });

  test('who waits is not kept waiting by that', async () => {
    const { bench, stock: pool } = stock();
    await bench.fail(new Error('no'));
    expect(bench.making).toHaveLength(0);
    const waits = pool.take();
    const thing = await bench.give();
    expect(await waits).toBe(thing);
  });

  test('one that dies while it waits is ended and replaced', async () => {
    const { bench, stock: pool } = stock();
    const thing = await bench.give();
    bench.deaths.get(thing)?.();
    await turn();
    expect(bench.ended).toEqual([1]);
    expect(pool.stats).toMatchObject({ ready: 0, lost: 1 });
    jest.advanceTimersByTime(100);
    const next = await bench.give();
    expect(await pool.take()).toBe(next);
    // Its death in use is its user's affair.
    bench.deaths.get(next)?.();
    await turn();
    expect(pool.stats).toMatchObject({ used: 1, lost: 1 });
  });

  test('what nobody wants goes after its time, down to min', async () => {
    const { bench, stock: pool } = stock({ min: 1, idleTimeout: 500 });
    const controller = new AbortController();
    const waits = [1, 2, 3].map(() => pool.take(controller.signal).catch(() => {}));
    controller.abort();
    await Promise.all(waits);
    while (bench.making.length > 0) await bench.give();
    expect(pool.stats.ready).toBe(4);
    jest.advanceTimersByTime(400);
    expect(bench.ended).toEqual([]);
    jest.advanceTimersByTime(200);
    await turn();
    expect(bench.ended).toEqual([1, 2, 3]);
    expect(pool.stats).toMatchObject({ ready: 1, size: 1 });
  });

  test('close ends what waits, is used and is being made, once', async () => {
    const { bench, stock: pool } = stock({ min: 2 });
    await bench.give();
    await bench.give();
    await pool.take();
    jest.advanceTimersByTime(10);
    expect(bench.making).toHaveLength(1);
    const closed = pool.close();
    expect(pool.close()).toBe(closed);
    await expect(pool.take()).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' });
    await closed;
    expect(bench.aborted).toBe(1);
    expect(bench.ended.sort()).toEqual([1, 2]);
    expect(pool.stats).toMatchObject({ size: 0, waiting: 0, failed: 0 });
    jest.advanceTimersByTime(100_000);
    expect(bench.making).toHaveLength(1);
  });

  test('one that is made although it was too late is ended, too', async () => {
    const { bench, stock: pool } = stock();
    const [last] = bench.making;
    const thing = last?.give();
    await pool.close();
    expect(thing).toBeDefined();
    expect(bench.ended).toEqual([1]);
  });
});
