import { type Abi, abis, type Machine } from '../../lib/seccomp/abis.js';
import type { OciSeccomp, SeccompArgument, SeccompSyscall } from '../../lib/seccomp/profile.js';
import type { SeccompData } from './bpf.js';

/** SECCOMP_RET_* of linux/seccomp.h, by OCI's names. */
const results: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x30000,
  SCMP_ACT_ERRNO: 0x50000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const EPERM = 1;
const enosys = 0x50000 + 38;

/** Whether an argument is as the condition has it: all 64 bits of it, without a sign. */
export function holds(
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

function result(action: string, data = EPERM): number {
  const carriesData = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  return (results[action] as number) + (carriesData ? data : 0);
}

/** With two conditions on one argument each is a rule of its own: runc, libcontainer/seccomp. */
function matches({ args = [] }: SeccompSyscall, given: readonly bigint[]): boolean {
  const indexes = args.map(({ index }) => index);
  const repeated = indexes.some((index, i) => indexes.indexOf(index) !== i);
  return repeated
    ? args.some((condition) => holds(condition, given))
    : args.every((condition) => holds(condition, given));
}

function hasConditions({ args = [] }: SeccompSyscall): boolean {
  return args.length > 0;
}

/**
 * What an OCI profile means, said as plainly as can be: no ranges, no order of instructions.
 * @see OCI runtime-spec config-linux.md#seccomp; what it leaves open, `compileSeccomp` says
 */
export class Meaning {
  readonly #abis: readonly Abi[];
  /** By `seccomp_data.arch`, then by number. */
  readonly #rules = new Map<number, Map<number, SeccompSyscall[]>>();

  constructor(
    readonly profile: OciSeccomp,
    machine: Machine,
  ) {
    this.#abis = abis[machine];
    for (const abi of this.#abis) this.#readRules(abi);
  }

  #readRules({ audit, numbers }: Abi): void {
    const rules = this.#rules.get(audit) ?? new Map<number, SeccompSyscall[]>();
    this.#rules.set(audit, rules);
    for (const nr of numbers.values()) rules.set(nr, []);
    for (const rule of this.profile.syscalls ?? [])
      for (const nr of new Set(rule.names.map((name) => numbers.get(name))))
        if (nr !== undefined) rules.get(nr)?.push(rule);
  }

  /** Rules about this call, in the profile's order; undefined for a number that nobody has. */
  rules({ arch, nr }: SeccompData): readonly SeccompSyscall[] | undefined {
    return this.#rules.get(arch)?.get(nr);
  }

  /** The calls that some rule is about. */
  *ruled(): Generator<SeccompData> {
    for (const [arch, rules] of this.#rules)
      for (const [nr, list] of rules) if (list.length > 0) yield { arch, nr };
  }

  /** The `SECCOMP_RET_*` value that the call should get. */
  verdict(call: SeccompData): number {
    const { profile } = this;
    const native = this.#abis[0] as Abi;
    const abi = this.#abis
      .filter(({ audit, base }) => audit === call.arch && call.nr >= base)
      .at(-1);
    const usable = abi === native || profile.architectures?.some((name) => name === abi?.name);
    if (abi === undefined || usable !== true) return enosys;
    const otherwise = result(profile.defaultAction, profile.defaultErrnoRet);
    const rules = this.rules(call);
    if (rules === undefined)
      return /ERRNO|KILL|TRAP/.test(profile.defaultAction) ? enosys : otherwise;
    const args = call.args ?? [];
    const decides =
      rules.find((rule) => hasConditions(rule) && matches(rule, args)) ??
      rules.find((rule) => !hasConditions(rule));
    return decides === undefined ? otherwise : result(decides.action, decides.errnoRet);
  }
}
