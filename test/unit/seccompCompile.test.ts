import { expect, test } from '@jest/globals';
import { InvalidSpecError, UnsupportedError } from '../../lib/errors.js';
import { abis } from '../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import type { OciSeccomp, SeccompArgument, SeccompSyscall } from '../../lib/seccomp/profile.js';
import { operators, type SeccompAction } from '../../lib/seccomp/words.js';
import { Filter, type SeccompData } from '../helpers/bpf.js';
import { holds, Meaning } from '../helpers/seccompMeaning.js';

const arch = {
  x86_64: 0xc000003e,
  i386: 0x40000003,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
  s390x: 0x80000016,
};
const allow = 0x7fff0000;
const eperm = 0x00050001;
const enosys = 0x00050026;
const full = 2n ** 64n - 1n;

const edges = [
  0n,
  1n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 32n,
  2n ** 32n + 1n,
  2n ** 63n,
  full,
];
test.each(operators)('%s compares all 64 bits', (op) => {
  const filterOf = (value: bigint, valueTwo: bigint) =>
    new Filter(
      compileSeccomp(
        {
          defaultAction: 'SCMP_ACT_ERRNO',
          syscalls: [
            {
              names: ['read'],
              action: 'SCMP_ACT_ALLOW',
              args: [{ index: 5, op, value, valueTwo }],
            },
          ],
        },
        { arch: 'x64' },
      ).filter,
    );
  for (const value of edges) {
    for (const valueTwo of op === 'SCMP_CMP_MASKED_EQ' ? edges : [0n]) {
      const filter = filterOf(value, valueTwo);
      for (const got of edges.flatMap((edge) => [edge, (edge + 1n) & full, (edge - 1n) & full])) {
        const args = [7n, 7n, 7n, 7n, 7n, got];
        const want = holds({ index: 5, op, value, valueTwo }, args) ? allow : eperm;
        expect([value, valueTwo, got, filter.run({ nr: 0, arch: arch.x86_64, args })]).toEqual([
          value,
          valueTwo,
          got,
          want,
        ]);
      }
    }
  }
});

test('jumps that are too long for a byte are still right', () => {
  const calls = [...abis.x64[0].numbers.keys()].filter((_, i) => i % 2 === 0);
  const profile: OciSeccomp = {
    defaultAction: 'SCMP_ACT_KILL_PROCESS',
    architectures: ['SCMP_ARCH_X86'],
    syscalls: calls.flatMap((name, i): SeccompSyscall[] => [
      {
        names: [name],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 1000 + i,
        args: [{ index: i % 6, op: 'SCMP_CMP_EQ', value: BigInt(i) << 30n }],
      },
      { names: [name], action: 'SCMP_ACT_TRACE', errnoRet: 2000 + i },
    ]),
  };
  const { filter, instructions } = compileSeccomp(profile, { arch: 'x64' });
  expect(instructions).toBeGreaterThan(2000);
  const run = new Filter(filter);
  const meaning = new Meaning(profile, 'x64');
  for (let nr = 0; nr < 500; nr++) {
    for (const audit of [arch.x86_64, arch.i386]) {
      for (const value of [0n, 1n << 30n, BigInt(nr) << 30n]) {
        const call = { nr, arch: audit, args: Array<bigint>(6).fill(value) };
        expect([nr, run.run(call)]).toEqual([nr, meaning.verdict(call)]);
      }
    }
  }
});

test('a profile of more than 4096 instructions is refused', () => {
  const syscalls = Array.from(
    { length: 1100 },
    (_, i): SeccompSyscall => ({
      names: ['read'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: i,
      args: [{ index: 0, op: 'SCMP_CMP_EQ', value: i }],
    }),
  );
  const compile = () =>
    compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }, { arch: 'x64' });
  expect(compile).toThrow(InvalidSpecError);
  expect(compile).toThrow(/seccomp: expected a profile of at most 4096 instructions, got \d{4}/);
});

test('conditions come before the rule without, whatever their order in the profile', () => {
  const args = [{ index: 0, op: 'SCMP_CMP_EQ', value: 1 }] as SeccompArgument[];
  const { filter } = compileSeccomp(
    {
      defaultAction: 'SCMP_ACT_KILL_PROCESS',
      syscalls: [
        { names: ['read'], action: 'SCMP_ACT_ALLOW' },
        { names: ['read'], action: 'SCMP_ACT_ERRNO', errnoRet: 5, args },
        { names: ['read'], action: 'SCMP_ACT_ERRNO', errnoRet: 6, args },
        { names: ['read'], action: 'SCMP_ACT_TRAP' },
      ],
    },
    { arch: 'x64' },
  );
  const read = (value: bigint) =>
    new Filter(filter).run({ nr: 0, arch: arch.x86_64, args: [value] });
  expect(read(1n)).toBe(0x00050005);
  expect(read(2n)).toBe(allow);
});

test('other ABIs get ENOSYS unless named, even where everything is allowed', () => {
  const run = (architectures: OciSeccomp['architectures'], call: SeccompData) =>
    new Filter(
      compileSeccomp(
        { defaultAction: 'SCMP_ACT_ALLOW', ...(architectures && { architectures }) },
        { arch: 'x64' },
      ).filter,
    ).run(call);
  expect(run(undefined, { nr: 1, arch: arch.x86_64 })).toBe(allow);
  expect(run(undefined, { nr: 1, arch: arch.i386 })).toBe(enosys);
  expect(run(undefined, { nr: 0x40000001, arch: arch.x86_64 })).toBe(enosys);
  expect(run(undefined, { nr: 1, arch: arch.aarch64 })).toBe(enosys);
  expect(run(['SCMP_ARCH_X86'], { nr: 1, arch: arch.x86_64 })).toBe(allow);
  expect(run(['SCMP_ARCH_X86'], { nr: 1, arch: arch.i386 })).toBe(allow);
  expect(run(['SCMP_ARCH_X32'], { nr: 0x40000001, arch: arch.x86_64 })).toBe(allow);
  expect(run(['SCMP_ARCH_AARCH64'], { nr: 1, arch: arch.aarch64 })).toBe(enosys);
});

test('known calls get the default, unknown ones ENOSYS where the default denies', () => {
  const run = (defaultAction: SeccompAction, nr: number) =>
    new Filter(compileSeccomp({ defaultAction }, { arch: 'x64' }).filter).run({
      nr,
      arch: arch.x86_64,
    });
  for (const unknown of [400, 472, 100_000, 0xffffffff]) {
    expect(run('SCMP_ACT_ERRNO', unknown)).toBe(enosys);
    expect(run('SCMP_ACT_KILL_PROCESS', unknown)).toBe(enosys);
    expect(run('SCMP_ACT_TRAP', unknown)).toBe(enosys);
  }
  expect(run('SCMP_ACT_LOG', 400)).toBe(0x7ffc0000);
  expect(run('SCMP_ACT_ALLOW', 472)).toBe(allow);
  expect(run('SCMP_ACT_ERRNO', 0)).toBe(eperm);
  expect(run('SCMP_ACT_KILL_PROCESS', 0)).toBe(0x80000000);
  expect(run('SCMP_ACT_KILL', 0)).toBe(0);
});

test('flags become bits, unknown names are told', () => {
  const compiled = compileSeccomp(
    {
      defaultAction: 'SCMP_ACT_ALLOW',
      flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'],
      syscalls: [{ names: ['read', 'raed', 'arm_fadvise64_64', 'raed'], action: 'SCMP_ACT_ERRNO' }],
    },
    { arch: 'x64' },
  );
  expect(compiled.flags).toBe(6);
  expect(compiled.unknownNames).toEqual(['raed']);
  expect(compiled.instructions).toBe(compiled.filter.length / 8);
});

test('notifications are refused', () => {
  const compile = () => compileSeccomp({ defaultAction: 'SCMP_ACT_NOTIFY' }, { arch: 'x64' });
  expect(compile).toThrow(UnsupportedError);
});
