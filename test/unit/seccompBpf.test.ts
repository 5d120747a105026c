import { expect, test } from '@jest/globals';
import { offset, Program } from '../../lib/seccomp/bpf.js';
import { Filter } from '../helpers/bpf.js';

/** A program that jumps over `gap` instructions to one of two results, `last` being the farther. */
function jumpOver(gap: number, last: 'yes' | 'no'): Filter {
  const program = new Program();
  const far = program.result(last === 'yes' ? 1 : 2);
  const near = program.result(last === 'yes' ? 2 : 1);
  const [yes, no] = last === 'yes' ? [far, near] : [near, far];
  for (let i = 0; i < gap; i++) program.load(offset.nr, program.length);
  const test = program.jump('jeq', 7, yes, no);
  return new Filter(program.encode(program.load(offset.nr, test)));
}

test.each(['yes', 'no'] as const)('a jump reaches near and far targets, %s last', (last) => {
  for (const gap of [0, 1, ...Array.from({ length: 20 }, (_, i) => 245 + i), 600, 3000]) {
    const filter = jumpOver(gap, last);
    expect([gap, filter.run({ nr: 7, arch: 0 })]).toEqual([gap, 1]);
    expect([gap, filter.run({ nr: 8, arch: 0 })]).toEqual([gap, 2]);
  }
});

test('a jump whose targets are one needs no instruction', () => {
  const program = new Program();
  const result = program.result(0x7fff0000);
  expect(program.jump('jgt', 1, result, result)).toBe(result);
  expect(program.length).toBe(1);
});

test('a load goes on at a target that it does not stand before', () => {
  const program = new Program();
  const wanted = program.result(1);
  program.result(2);
  const filter = new Filter(program.encode(program.load(offset.nr, wanted, 0xff)));
  expect(filter.run({ nr: 0, arch: 0 })).toBe(1);
});

test('equal results are shared within reach of a jump', () => {
  const program = new Program();
  const first = program.result(1);
  expect(program.result(1)).toBe(first);
  for (let i = 0; i < 300; i++) program.load(offset.nr, program.length);
  expect(program.result(1)).toBe(302);
});

test('the encoding is struct sock_filter', () => {
  const program = new Program();
  const yes = program.result(0x80000000);
  const no = program.result(0x7fff0000);
  const bytes = program.encode(program.load(offset.arch, program.jump('jge', 0xc000003e, yes, no)));
  expect(Buffer.from(bytes).toString('hex')).toBe(
    '2000000004000000' + '350001003e0000c0' + '060000000000ff7f' + '0600000000000080',
  );
});
