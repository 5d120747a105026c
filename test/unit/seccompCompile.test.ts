import { expect, test } from '@jest/globals';
import { InvalidSpecError, UnsupportedError } from '../../lib/errors.js';
import { abis } from '../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import type { OciSeccomp, SeccompArgument, SeccompSyscall } from '../../lib/seccomp/profile.js';
import { actions, operators, type SeccompAction } from '../../lib/seccomp/words.js';
import { Filter, type SeccompData } from '../helpers/bpf.js';

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

/** Repeatable random numbers (xorshift32), so that a failure can be looked into. */
class Random {
  constructor(private state: number) {}

  below(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

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
const names = [...abis.x64[0].numbers.keys(), 'fstat64', 'sync_file_range2', 'no_such_call'];

function randomRule(random: Random): SeccompSyscall {
  const action = random.of(Object.keys(actions) as SeccompAction[]);
  const args: SeccompArgument[] = Array.from(
    { length: random.of([0, 0, 0, 0, 1, 1, 2, 3]) },
    () => ({
      index: random.below(6),
      op: random.of(operators),
      value: random.of(edges),
      valueTwo: random.of(edges),
    }),
  );
  return {
    names: Array.from({ length: 1 + random.below(8) }, () => random.of(names)),
    action,
    ...((action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE') && {
      errnoRet: random.below(200),
    }),
    ...(args.length > 0 && { args }),
  };
}

function randomProfile(random: Random): OciSeccomp {
  return {
    defaultAction: random.of(Object.keys(actions) as SeccompAction[]),
    architectures: (['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM'] as const).filter(
      () => random.below(2) === 0,
    ),
    syscalls: Array.from({ length: random.below(60) }, () => randomRule(random)),
  };
}

function holds(
  { index, op, value, valueTwo = 0 }: SeccompArgument,
  args: readonly bigint[],
): boolean {
  const got = args[index] ?? 0n;
  const want = BigInt(value);
  switch (op) {
    case 'SCMP_CMP_NE':
      return got !== want;
    case 'SCMP_CMP_LT':
      return got < want;
    case 'SCMP_CMP_LE':
      return got <= want;
    case 'SCMP_CMP_EQ':
      return got === want;
    case 'SCMP_CMP_GE':
      return got >= want;
    case 'SCMP_CMP_GT':
      return got > want;
    case 'SCMP_CMP_MASKED_EQ':
      return (got & want) === BigInt(valueTwo);
  }
}

function result(action: SeccompAction, data: number | undefined): number {
  const carries = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  return (actions[action] + (carries ? (data ?? 1) : 0)) >>> 0;
}

/** What a profile means for one call, said as plainly as can be. */
function meaning(profile: OciSeccomp, machine: 'x64' | 'arm64', call: SeccompData): number {
  const fits = abis[machine].filter((abi) => abi.audit === call.arch && call.nr >= abi.base).at(-1);
  const native = fits === abis[machine][0];
  if (fits === undefined || !(native || profile.architectures?.includes(fits.name))) return enosys;
  const called = [...fits.numbers].filter(([, nr]) => nr === call.nr).map(([name]) => name);
  const otherwise = result(profile.defaultAction, profile.defaultErrnoRet);
  if (called.length === 0) {
    return /ERRNO|KILL|TRAP/.test(profile.defaultAction) ? enosys : otherwise;
  }
  const rules = (profile.syscalls ?? []).filter((rule) =>
    rule.names.some((n) => called.includes(n)),
  );
  for (const { args, action, errnoRet } of rules) {
    if (args === undefined) continue;
    const once = args.every((a) => args.every((b) => a === b || a.index !== b.index));
    const match = once
      ? args.every((a) => holds(a, call.args ?? []))
      : args.some((a) => holds(a, call.args ?? []));
    if (match) return result(action, errnoRet);
  }
  const plain = rules.find(({ args }) => args === undefined);
  return plain === undefined ? otherwise : result(plain.action, plain.errnoRet);
}

/** Numbers that lie at or near something, on every ABI. */
const numbers = [
  ...Array.from({ length: 601 }, (_, nr) => nr),
  0xf0002,
  0x3fffffff,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  ...Array.from({ length: 601 }, (_, nr) => nr + 0x40000000),
];

test.each(['x64', 'arm64'] as const)('random profiles mean on %s what they say', (machine) => {
  const random = new Random(machine === 'x64' ? 11 : 22);
  const wrong: unknown[] = [];
  for (let round = 0; round < 8; round++) {
    const profile = randomProfile(random);
    const filter = new Filter(compileSeccomp(profile, { arch: machine }).filter);
    for (const audit of Object.values(arch)) {
      for (const nr of numbers) {
        for (let i = 0; i < 3; i++) {
          const args = Array.from({ length: 6 }, () => random.of(edges));
          const call = { nr, arch: audit, args };
          const got = filter.run(call);
          const want = meaning(profile, machine, call);
          if (got !== want) wrong.push({ profile, call, got, want });
        }
      }
    }
  }
  expect(wrong.slice(0, 1)).toEqual([]);
});

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
  for (let nr = 0; nr < 500; nr++) {
    for (const audit of [arch.x86_64, arch.i386]) {
      for (const value of [0n, 1n << 30n, BigInt(nr) << 30n]) {
        const call = { nr, arch: audit, args: Array<bigint>(6).fill(value) };
        expect([nr, run.run(call)]).toEqual([nr, meaning(profile, 'x64', call)]);
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
