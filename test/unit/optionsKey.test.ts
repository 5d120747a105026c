import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { optionsKey } from '../../lib/optionsKey.js';
import { RecentMap } from '../../lib/recentMap.js';

const key = (options: object, file = 'true', args: string[] = []) =>
  optionsKey(file, args, options);

test('the same data has the same key, other data another', () => {
  const options = { env: { A: '1', B: undefined }, limits: { pids: 3 }, cwd: '/' };
  expect(key({ ...options })).toBe(key({ ...options, env: { ...options.env } }));
  const others = [
    { ...options, env: { A: 1, B: undefined } },
    { ...options, env: { A: '1' } },
    { ...options, env: { A: '1', B: null } },
    { ...options, limits: { pids: -0 } },
    { ...options, limits: { pids: 0 } },
    { ...options, limits: [3] },
    { ...options, cwd: '/","x":"' },
    { ...options, input: 'x' },
    {},
  ];
  const keys = [options, ...others].map((each) => key(each));
  expect(new Set(keys).size).toBe(keys.length);
  expect(key({}, 'a', ['b', 'c'])).not.toBe(key({}, 'a', ['b,c']));
  expect(key({}, 'a', ['b'])).not.toBe(key({}, 'b', ['a']));
});

test('what is fed and what cancels do not matter to the plan', () => {
  expect(key({ input: 'x' })).toBe(key({ input: Buffer.from('y') }));
  expect(key({ input: Readable.from([]) })).toBe(key({ input: 'x' }));
  expect(key({ signal: new AbortController().signal })).toBe(key({}));
});

test('what is more than data has none', () => {
  class Options {}
  const odd = [
    { oci: () => {} },
    { stdio: [process.stdin, 'pipe', 'pipe'] },
    { signal: {} },
    { input: {} },
    { env: new Map() },
    { limits: { memory: 1n } },
    { [Symbol('x')]: 1 },
    { env: { [Symbol('x')]: 1 } },
    { env: { A: 'x'.repeat(20_000) } },
    new Options(),
    new Proxy(new Options(), {}),
  ];
  for (const options of odd) expect(key(options)).toBeUndefined();
});

test('a map of recent entries lets go of the one that was asked for longest ago', () => {
  const map = new RecentMap<number | undefined>(2);
  let made = 0;
  const get = (name: string) => map.get(name, () => ++made);
  expect([get('a'), get('b'), get('a'), get('c'), get('a'), get('b')]).toEqual([1, 2, 1, 3, 1, 4]);
  expect(map.get('none', () => undefined)).toBeUndefined();
  expect(map.get('none', () => 7)).toBeUndefined();
});
