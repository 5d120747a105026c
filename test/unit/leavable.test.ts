import { expect, test } from '@jest/globals';
import { leavable } from '../../lib/leavable.js';

const over = { done: true, value: undefined };

/** One value, and then none until it is left; says when it has cleaned up. */
function silent(cleaned: () => void, signal?: AbortSignal) {
  return leavable(signal, async function* (ends) {
    try {
      yield 1;
      await new Promise((_, reject) => {
        ends.addEventListener('abort', () => reject(new Error(`${ends.reason}`)));
      });
    } finally {
      cleaned();
    }
  });
}

test.each(['return', 'throw'] as const)('%s ends what is pending, and cleans up', async (way) => {
  let cleaned = 0;
  const iteration = silent(() => cleaned++);
  expect(await iteration.next()).toEqual({ done: false, value: 1 });
  const pending = iteration.next();
  const error = new Error('mine');
  const left = way === 'return' ? iteration.return() : iteration.throw(error);
  if (way === 'return') expect(await left).toEqual(over);
  else await expect(left).rejects.toBe(error);
  expect(await pending).toEqual(over);
  expect(await iteration.next()).toEqual(over);
  expect(cleaned).toBe(1);
});

test('the caller’s own abort is told', async () => {
  const stop = new AbortController();
  const iteration = silent(() => {}, stop.signal);
  await iteration.next();
  const pending = iteration.next();
  stop.abort('why');
  await expect(pending).rejects.toThrow('why');
});
