import { expect, test } from '@jest/globals';
import { parseSize } from '../../lib/spec/size.js';
import { suggest } from '../../lib/spec/suggest.js';

test.each([
  [0, 0],
  [4096, 4096],
  [2 ** 53 - 1, 2 ** 53 - 1],
  ['0', 0],
  ['123', 123],
  ['12b', 12],
  ['64k', 65536],
  ['64K', 65536],
  ['64kb', 65536],
  ['64KiB', 65536],
  ['512MiB', 536870912],
  ['512 MiB', 536870912],
  ['512m', 536870912],
  ['1GiB', 1073741824],
  ['1.5g', 1610612736],
  ['0.0001k', 0],
  ['2t', 2 * 1024 ** 4],
])('parseSize(%p) is %p bytes', (value, bytes) => {
  expect(parseSize(value, 'limits.memory')).toBe(bytes);
});

test.each([
  '',
  'k',
  '-1',
  '-1k',
  '1e3',
  '0x10',
  '12 34',
  '1,5g',
  '.5g',
  '5.g',
  ' 1k',
  '1k ',
  '1k\n',
  '1ib',
  '1bb',
  '1p',
  '1  k',
  '9007199254740992',
  '99999999t',
  -1,
  0.5,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1n,
  null,
  undefined,
  {},
  ['1k'],
])('parseSize refuses %p and names the option', (value) => {
  expect(() => parseSize(value, 'limits.memory')).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_OPTION',
      option: 'limits.memory',
      message: expect.stringMatching(/^limits\.memory: expected bytes/),
    }),
  );
});

test('without an option to name, a size is a size', () => {
  expect(parseSize('1.5GiB')).toBe(1610612736);
  expect(() => parseSize('nonsense')).toThrow(/^size: expected bytes/);
});

test.each([
  ['memry', 'memory'],
  ['MEMORY', 'memory'],
  ['meomry', 'memory'],
  ['memoryy', 'memory'],
  ['pid', 'pids'],
  ['spwa', undefined],
  ['swpa', 'swap'],
  ['nothing', undefined],
  ['', undefined],
  ['m'.repeat(10_000), undefined],
])('suggest(%p) is %p', (name, expected) => {
  expect(suggest(name, ['memory', 'swap', 'pids', 'cpus'])).toBe(expected);
});
