import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { keyOf } from '../../lib/optionsKey.js';
import { RecentMap } from '../../lib/recentMap.js';
import { recipeOf } from '../../lib/recipe.js';

const key = (options: object, file = 'true', args: string[] = []) =>
  keyOf(file, args, options)?.key;

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
    {
      get env() {
        return {};
      },
    },
    { env: Object.defineProperty({}, 'A', { get: () => 'x', enumerable: true }) },
    Object.defineProperty({}, 'capabilities', { value: ['CAP_SYS_ADMIN'] }),
    { limits: Object.defineProperty({}, 'nofile', { value: 33 }) },
    { capabilities: Object.assign(['CAP_KILL'], { more: 1 }) },
    { capabilities: new Array(2) },
    new Options(),
    new Proxy(new Options(), {}),
  ];
  for (const options of odd) expect(key(options)).toBeUndefined();
});

test('what is no object has none, and no error', () => {
  for (const odd of [null, undefined, 5, 'x', []]) {
    expect(keyOf('true', [], odd)).toBeUndefined();
    if (!Array.isArray(odd)) expect(keyOf('true', odd, {})).toBeUndefined();
  }
  expect(keyOf(5, [], {})).toBeUndefined();
});

test('what it was made of is a copy, read once', () => {
  const options = { env: { A: '1' }, input: 'secret' };
  const args = ['a'];
  const keyed = keyOf('true', args, options);
  args[0] = 'b';
  options.env.A = '2';
  expect(keyed).toMatchObject({ args: ['a'], options: { env: { A: '1' }, input: '' } });
});

test('what depends on more of the host than is compared is decided each time', () => {
  for (const options of [{}, { network: 'host' }] as const)
    expect(recipeOf('true', [], options)).toBeDefined();
  for (const options of [
    { maskedPaths: ['/usr/local/share/x*'] },
    { limits: { cpuset: '0' } },
    { mounts: ['/tmp:/x'] },
    { user: 'nobody' },
  ])
    expect(recipeOf('true', [], options)).toBeUndefined();
});

test('a spec that is kept does not point into the objects of a caller', () => {
  const sysctl = { 'net.ipv4.ip_forward': '1' };
  const recipe = recipeOf('true', [], { sysctl });
  sysctl['net.ipv4.ip_forward'] = '0';
  expect(recipe?.spec.linux.sysctl).toEqual({ 'net.ipv4.ip_forward': '1' });
});

test('a map of recent entries lets go of the one that was asked for longest ago', () => {
  const map = new RecentMap<number | undefined>(2);
  let made = 0;
  const get = (name: string) => map.get(name, () => ++made);
  expect([get('a'), get('b'), get('a'), get('c'), get('a'), get('b')]).toEqual([1, 2, 1, 3, 1, 4]);
  expect(map.get('none', () => undefined)).toBeUndefined();
  expect(map.get('none', () => 7)).toBeUndefined();
});
