import type { SeccompArgument, SeccompSyscall } from '../../lib/seccomp/profile.js';
import type { SeccompData } from './bpf.js';
import type { Meaning } from './seccompMeaning.js';

const full = 2n ** 64n - 1n;
const lowHalf = 2n ** 32n - 1n;

/** `seccomp_data.arch` of what we compile for and of what we do not. @see linux/audit.h */
export const audits = {
  x86_64: 0xc000003e,
  i386: 0x40000003,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
  armBigEndian: 0x28,
  s390x: 0x80000016,
  riscv64: 0xc00000f3,
  ppc64le: 0xc0000015,
  mips64el: 0xc0000008,
  loongarch64: 0xc0000102,
  none: 0,
  all: 0xffffffff,
} as const;

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (first + i) % 2 ** 32);
}

/** Every number that a call may have, with x32's bit too, and those near a sign or an edge. */
export const numbers: readonly number[] = [
  ...range(0, 1024),
  ...range(0xf0000, 8),
  ...range(0x3ffffffe, 1026),
  ...range(0x7ffffffe, 1026),
  ...range(0xc0000000, 520),
  ...range(2 ** 32 - 1024, 1024),
];

/** Values at which the condition changes its mind, those beside them, and both with other halves. */
function edges({ op, value, valueTwo = 0 }: SeccompArgument): bigint[] {
  const word = BigInt(value);
  const wanted = BigInt(valueTwo);
  const masked = [wanted, wanted | (full & ~word), wanted ^ (word & -word), word, full & ~word];
  return (op === 'SCMP_CMP_MASKED_EQ' ? masked : [word]).flatMap((at) =>
    [
      at,
      at + 1n,
      at - 1n,
      at ^ (1n << 32n),
      at ^ (1n << 63n),
      at | (full & ~lowHalf),
      at & lowHalf,
    ].map((each) => BigInt.asUintN(64, each)),
  );
}

const plain: readonly (readonly bigint[])[] = [[], Array<bigint>(6).fill(full)];

/** The most sets of arguments for one call; above that every n-th of all combinations is taken. */
const mostSets = 300;

/** Arguments for a call that these rules are about: all edges of each, combined. */
function argumentSets(rules: readonly SeccompSyscall[]): readonly (readonly bigint[])[] {
  const conditions = rules.flatMap(({ args = [] }) => args);
  if (conditions.length === 0) return plain;
  const values = Array.from({ length: 6 }, (_, index) => [
    ...new Set([0n, full, ...conditions.filter((c) => c.index === index).flatMap(edges)]),
  ]);
  // An argument that nobody looks at differs all the same.
  const choices = values.map((each) => (each.length === 2 ? [0x5a5a5a5a5a5a5a5an] : each));
  const all = choices.reduce((product, each) => product * each.length, 1);
  // Coprime to no length in particular, so that every value of every argument has its turn.
  const step = Math.max(1, all / mostSets);
  return Array.from({ length: Math.min(all, mostSets) }, (_, i) => {
    let at = Math.floor(i * step);
    return choices.map((each) => {
      const chosen = each[at % each.length] as bigint;
      at = Math.floor(at / each.length);
      return chosen;
    });
  });
}

/** Every number on every architecture, with the arguments at which the profile's rules change. */
export function* everyCall(
  meaning: Meaning,
  architectures: readonly number[] = Object.values(audits),
): Generator<SeccompData> {
  for (const arch of architectures)
    for (const nr of numbers)
      for (const args of argumentSets(meaning.rules({ arch, nr }) ?? [])) yield { nr, arch, args };
}

/** Some of them, for a fuzzer that has many profiles: the calls that rules are about, and neighbours. */
export function* callsNear(meaning: Meaning): Generator<SeccompData> {
  for (const arch of [audits.x86_64, audits.i386, audits.aarch64, audits.arm, audits.s390x])
    for (const nr of numbers.filter((_, i) => i % 97 === 0)) yield { nr, arch, args: [] };
  for (const { arch, nr } of meaning.ruled())
    for (const near of [nr - 1, nr, nr + 1].filter((each) => each >= 0))
      for (const args of argumentSets(meaning.rules({ arch, nr: near }) ?? []).slice(0, 60))
        yield { nr: near, arch, args };
}
