import { constants } from 'node:os';
import { expect, test } from '@jest/globals';
import { abis } from '../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import { defaultProfile } from '../../lib/seccomp/default.js';
import { Filter } from '../helpers/bpf.js';
import { readGoldenCalls } from '../helpers/goldenCalls.js';

const { audit, numbers } = abis.x64[0];
const names = new Map([...numbers].map(([name, nr]) => [nr, name]));
const filter = new Filter(compileSeccomp(defaultProfile(), { arch: 'x64' }).filter);
const { calls } = readGoldenCalls();
const errno = (name: string) => constants.errno[name as keyof typeof constants.errno];

/** What the filter itself answers to arguments of -1; undefined where it passes the call on. */
function denial(nr: number): number | undefined {
  const verdict = filter.run({ nr, arch: audit, args: Array<bigint>(6).fill(2n ** 64n - 1n) });
  return verdict === 0x7fff0000 ? undefined : verdict - 0x50000;
}

test('the table of answers has every number from 0 to 600, by its name', () => {
  expect(calls.map(({ number, name }) => [number, name])).toEqual(
    Array.from({ length: 601 }, (_, nr) => [nr, names.get(nr) ?? '-']),
  );
});

test('what the filter denies is in the table with the errno of the filter, on any kernel', () => {
  const denied = calls.filter(({ number }) => denial(number) !== undefined);
  expect(denied.length).toBeGreaterThan(300);
  for (const { number, answer, mark } of denied)
    expect([number, errno(answer), mark]).toEqual([number, denial(number), '']);
});

test('ENOSYS for a number without a name is the answer of the filter', () => {
  const unknown = calls.filter(({ name }) => name === '-').map(({ number }) => number);
  expect(unknown.length).toBeGreaterThan(200);
  expect(unknown.filter((nr) => denial(nr) !== constants.errno.ENOSYS)).toEqual([]);
});
