import type { Abi } from './abis.js';
import type { OciSeccomp, SeccompArgument, SeccompSyscall } from './profile.js';
import { actions, errno, type SeccompAction } from './words.js';

/** What a call gets whose ABI is not allowed or whose number nobody knows: ENOSYS. */
export const notThere: number = actions.SCMP_ACT_ERRNO | errno.ENOSYS;

/** Conditions on arguments, all of which must hold, and the `SECCOMP_RET_*` value they lead to. */
export interface Check {
  conditions: readonly SeccompArgument[];
  result: number;
}

/** What happens to a call: the first check that holds decides, else `otherwise`. */
export interface Outcome {
  checks: readonly Check[];
  otherwise: number;
  /** Equal for outcomes that are equal. */
  key: string;
}

/** The calls from `first` on, up to the next range. */
export interface Range {
  first: number;
  outcome: Outcome;
}

/**
 * The outcomes of all 2^32 numbers, neighbours merged, for the ABIs that share one value of
 * `seccomp_data.arch`.
 * @param abis by rising `base`
 * @param allowed whether calls may be made in this way; others get ENOSYS
 */
export function toRanges(
  profile: OciSeccomp,
  abis: readonly Abi[],
  allowed: (abi: Abi) => boolean,
): Range[] {
  const ranges: Range[] = [];
  const add = (first: number, outcome: Outcome) => {
    // A hole of no numbers is replaced by what follows it.
    if (ranges.at(-1)?.first === first) ranges.pop();
    if (ranges.at(-1)?.outcome.key !== outcome.key) ranges.push({ first, outcome });
  };
  for (const abi of abis) {
    if (!allowed(abi)) {
      add(abi.base, plain(notThere));
      continue;
    }
    const calls = outcomesOf(profile, abi);
    const unknown = plain(unknownResult(profile));
    add(abi.base, unknown);
    for (const [number, outcome] of calls) {
      add(number, outcome);
      add(number + 1, unknown);
    }
  }
  return ranges;
}

/** The outcome of every number that the ABI has, by rising number. */
function outcomesOf(profile: OciSeccomp, abi: Abi): [number, Outcome][] {
  const rules = new Map<number, SeccompSyscall[]>();
  for (const rule of profile.syscalls ?? []) {
    for (const name of rule.names) {
      const number = abi.numbers.get(name);
      if (number === undefined) continue;
      const known = rules.get(number);
      if (known === undefined) rules.set(number, [rule]);
      else known.push(rule);
    }
  }
  const otherwise = toResult(profile.defaultAction, profile.defaultErrnoRet);
  const untouched = plain(otherwise);
  return [...new Set(abi.numbers.values())]
    .sort((a, b) => a - b)
    .map((number) => {
      const own = rules.get(number);
      return [number, own === undefined ? untouched : toOutcome(own, otherwise)];
    });
}

/**
 * Rules with conditions are tried in the order of the profile; then the first rule without decides;
 * then the default. libseccomp, and so runc, lets a rule without conditions win over all others,
 * which makes no difference among rules with the same action.
 */
function toOutcome(rules: readonly SeccompSyscall[], otherwise: number): Outcome {
  const checks = rules.flatMap(toChecks);
  const last = rules.find(({ args = [] }) => args.length === 0);
  const outcome = plain(last === undefined ? otherwise : toResult(last.action, last.errnoRet));
  if (checks.length === 0) return outcome;
  const key = checks.map(({ conditions, result }) => {
    const words = conditions.map((c) => `${c.index} ${c.op} ${c.value} ${c.valueTwo ?? 0}`);
    return `${words.join(' and ')} ? ${result}`;
  });
  return { ...outcome, checks, key: `${key.join(' : ')} : ${outcome.key}` };
}

/** As runc does: with two conditions on one argument, each condition is a rule of its own. */
function toChecks({ action, errnoRet, args = [] }: SeccompSyscall): Check[] {
  if (args.length === 0) return [];
  const result = toResult(action, errnoRet);
  const repeated = new Set(args.map(({ index }) => index)).size < args.length;
  if (repeated) return args.map((condition) => ({ conditions: [condition], result }));
  return [{ conditions: args, result }];
}

function plain(result: number): Outcome {
  return { checks: [], otherwise: result, key: String(result) };
}

/** The `SECCOMP_RET_*` value of an action, with its 16 bits of data. @see seccomp(2) */
function toResult(action: SeccompAction, data: number = errno.EPERM): number {
  const carriesData = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  return (actions[action] | (carriesData ? data : 0)) >>> 0;
}

/**
 * Of numbers that our tables lack. C libraries fall back to older calls on ENOSYS only, so a
 * profile that denies by default must not answer a new call with its own errno.
 */
function unknownResult({ defaultAction, defaultErrnoRet }: OciSeccomp): number {
  const passes = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(defaultAction);
  return passes ? toResult(defaultAction, defaultErrnoRet) : notThere;
}
