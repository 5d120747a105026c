import { expect, test } from '@jest/globals';
import { interleave } from '../../bench/rounds.js';
import { quantile, ratioOf, summarize } from '../../bench/statistics.js';

test('a quantile lies between its neighbours', () => {
  expect(quantile([1, 2, 3, 4, 5], 0.5)).toBe(3);
  expect(quantile([1, 2], 0.5)).toBe(1.5);
  expect(quantile([7], 0.9)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

test('a summary does not depend on the order', () => {
  expect(summarize([5, 1, 4, 2, 3])).toEqual({ n: 5, min: 1, p50: 3, p90: 4.6, max: 5 });
});

test('a ratio is that of the medians; its spread that of the rounds', () => {
  // Rounds two and three were disturbed, for both rows alike: no round says anything but one half.
  expect(ratioOf([1, 10, 100], [2, 20, 200])).toEqual({ value: 0.5, low: 0.5, high: 0.5 });
  const { value, low, high } = ratioOf([1, 1, 1, 1, 1], [1, 2, 1, 4, 1]);
  expect([value, low, high]).toEqual([1, 0.5, 1]);
});

test('rows take turns, without the warm-ups', async () => {
  const order: string[] = [];
  const row = (name: string) => ({
    name,
    run: async () => order.push(name),
  });
  const measured = await interleave([row('a'), row('b')], { rounds: 2, warmUps: 1 });
  expect(order.join('')).toBe('baabba');
  expect([...measured]).toEqual([
    ['a', [3, 6]],
    ['b', [4, 5]],
  ]);
});
