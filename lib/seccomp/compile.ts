import { invalid } from '../errors.js';
import type { SpecSeccomp } from '../spec/types.js';
import { type Abi, abis, isKnownCall, type Machine } from './abis.js';
import { type Label, offset, Program } from './bpf.js';
import { addOutcome } from './outcome.js';
import { type OciSeccomp, parseSeccomp } from './profile.js';
import { notThere, type Range, toRanges } from './ranges.js';
import { flags } from './words.js';

/** A filter that is ready for seccomp(2). */
export interface CompiledSeccomp {
  /** An array of `struct sock_filter`, little endian. Equal calls share it: do not write to it. */
  filter: Uint8Array;
  /** Length of the array. */
  instructions: number;
  /** `SECCOMP_FILTER_FLAG_*` bits. */
  flags: number;
  /** Names in the profile that no architecture known to us has; rules about them had no effect. */
  unknownNames: string[];
}

/** Filters that are kept for the next equal call. */
const maxRecent = 16;

/** BPF_MAXINSNS, the most that the kernel takes. */
const maxInstructions = 4096;

/**
 * Compiles an OCI seccomp object to a BPF filter.
 *
 * Calls through an ABI that `architectures` does not name get ENOSYS whatever the default action,
 * so that a program which tries 32-bit code falls back instead of being killed; the machine's own
 * ABI is always there. Numbers that our tables lack get ENOSYS where the default action denies,
 * else the default action. Which of several rules counts: lib/seccomp/ranges.ts.
 *
 * Each architecture is a binary search over ranges of numbers: the kernel runs the filter once for
 * every number when it is loaded, so its depth is most of the cost.
 * @throws InvalidSpecError for a wrong field, or a profile that takes more than 4096 instructions
 * @throws UnsupportedError for `SCMP_ACT_NOTIFY` and what belongs to it
 */
export function compileSeccomp(seccomp: SpecSeccomp, { arch }: { arch: Machine }): CompiledSeccomp {
  const profile = parseSeccomp(seccomp);
  const key = `${arch} ${JSON.stringify(profile, withDigits)}`;
  const compiled = recent.get(key) ?? compileProfile(profile, arch);
  // Most recently used last, so that the first is the one to forget.
  recent.delete(key);
  recent.set(key, compiled);
  const [oldest] = recent.keys();
  if (recent.size > maxRecent && oldest !== undefined) recent.delete(oldest);
  return compiled;
}

/** The last filters by machine and profile: containers are mostly started alike. */
const recent = new Map<string, CompiledSeccomp>();

function withDigits(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function compileProfile(profile: OciSeccomp, arch: Machine): CompiledSeccomp {
  const program = new Program();
  const filter = program.encode(addArchitectures(program, profile, abis[arch]));
  const instructions = filter.length / 8;
  if (instructions > maxInstructions) {
    throw invalid('seccomp', `a profile of at most ${maxInstructions} instructions`, instructions);
  }
  const names = new Set(profile.syscalls?.flatMap((rule) => rule.names));
  return {
    filter,
    instructions,
    flags: (profile.flags ?? []).reduce((bits, name) => bits | flags[name], 0),
    unknownNames: [...names].filter((name) => !isKnownCall(name)),
  };
}

/** The whole filter: the architecture first, because a number means nothing without it. */
function addArchitectures(
  program: Program,
  profile: OciSeccomp,
  [native, ...others]: readonly [Abi, ...Abi[]],
): Label {
  const all = [native, ...others];
  const allowed = (abi: Abi) => abi === native || (profile.architectures ?? []).includes(abi.name);
  const audits = [...new Set(all.filter(allowed).map(({ audit }) => audit))].reverse();
  const branches = audits.map((audit) => {
    const ranges = toRanges(
      profile,
      all.filter((abi) => abi.audit === audit),
      allowed,
    );
    return { audit, label: program.load(offset.nr, addSearch(program, ranges)) };
  });
  let next = program.result(notThere);
  for (const { audit, label } of branches) next = program.jump('jeq', audit, label, next);
  return program.load(offset.arch, next);
}

/** A balanced binary search for the range that the loaded number lies in. */
function addSearch(program: Program, ranges: readonly Range[]): Label {
  const half = ranges.length >> 1;
  const middle = ranges[half];
  if (middle === undefined) throw new RangeError('no ranges to search');
  if (half === 0) return addOutcome(program, middle.outcome);
  const above = addSearch(program, ranges.slice(half));
  const below = addSearch(program, ranges.slice(0, half));
  return program.jump('jge', middle.first, above, below);
}
