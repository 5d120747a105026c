import { atLeast, type KernelVersion, parseKernel } from '../kernelVersion.js';
import { Place } from '../spec/rules/place.js';
import { abis, type Machine } from './abis.js';
import { dockerProfile, ociSeccomp } from './rules.js';
import type { SeccompAction, SeccompArchitecture, SeccompFlag, SeccompOperator } from './words.js';

/** A condition on one argument of a call. */
export interface SeccompArgument {
  /** 0 to 5. */
  index: number;
  /** What the argument is compared with; the mask for `SCMP_CMP_MASKED_EQ`. */
  value: number | bigint;
  /** For `SCMP_CMP_MASKED_EQ`: what must remain under the mask. Default 0. */
  valueTwo?: number | bigint;
  op: SeccompOperator;
}

/** What happens to some calls. */
export interface SeccompSyscall {
  /** Names that no architecture has are left out by the compiler, as docker and runc do. */
  names: string[];
  action: SeccompAction;
  /** Beside `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE` only; default EPERM. */
  errnoRet?: number;
  /** All must hold; but if two are on one argument, each is a rule of its own (as in runc). */
  args?: SeccompArgument[];
}

/** OCI `linux.seccomp`, as far as it can be carried out. @see OCI runtime-spec, config-linux.md */
export interface OciSeccomp {
  /** For the calls that no rule is about. */
  defaultAction: SeccompAction;
  /** Default EPERM. */
  defaultErrnoRet?: number;
  /** ABIs that may be used beside the machine's own, which always may. */
  architectures?: SeccompArchitecture[];
  flags?: SeccompFlag[];
  syscalls?: SeccompSyscall[];
}

/** When a rule of a docker profile counts. */
export interface DockerCondition {
  /** `includes`: all are in the bounding set; `excludes`: one of them is. */
  caps?: string[] | null;
  /** Go's names: the machine is one of them. */
  arches?: string[] | null;
  /** `4.8`: the kernel is that or newer. */
  minKernel?: string | null;
}

/** An argument in a docker profile, whose numbers may be strings of digits. */
export interface DockerArgument {
  index: number;
  value: number | bigint | string;
  valueTwo?: number | bigint | string | null;
  op: SeccompOperator;
}

/** A rule of a docker profile. */
export interface DockerSyscall {
  /** The old form of `names`. */
  name?: string | null;
  names?: string[] | null;
  action: SeccompAction;
  errnoRet?: number | null;
  args?: DockerArgument[] | null;
  comment?: string | null;
  includes?: DockerCondition | null;
  excludes?: DockerCondition | null;
}

/** Docker's JSON profile. @see https://docs.docker.com/engine/security/seccomp/ */
export interface DockerProfile {
  defaultAction: SeccompAction;
  defaultErrnoRet?: number | null;
  architectures?: SeccompArchitecture[] | null;
  /** Instead of `architectures`: what goes with the machine's own. */
  archMap?:
    | { architecture: SeccompArchitecture; subArchitectures?: SeccompArchitecture[] | null }[]
    | null;
  flags?: SeccompFlag[] | null;
  syscalls?: DockerSyscall[] | null;
}

/** What decides which rules of a docker profile count. */
export interface ProfileContext {
  arch: Machine;
  /** The bounding set, full names. */
  capabilities: readonly string[];
  /** `6.18.44-generic`, as `os.release()` gives it. */
  kernelVersion: string;
}

const optionPlace = new Place('seccomp', 'options');

/**
 * Checks an OCI seccomp object and returns a copy without the fields that are null.
 * @param at how errors name it; default: the option `seccomp`
 * @throws InvalidSpecError naming the field, such as `seccomp.syscalls[3].args[0].op`
 * @throws UnsupportedError for `listenerPath` and whatever else belongs to `SCMP_ACT_NOTIFY`
 */
export function parseSeccomp(value: unknown, at: Place = optionPlace): OciSeccomp {
  ociSeccomp(value, at);
  return copyProfile(value as DockerProfile);
}

/**
 * Checks docker's JSON profile (or an OCI seccomp object) and reduces it to the rules that count
 * for this machine, kernel and bounding set.
 * @throws InvalidSpecError naming the field
 * @throws UnsupportedError as `parseSeccomp`
 */
export function resolveDockerProfile(
  profile: unknown,
  context: ProfileContext,
  at: Place = optionPlace,
): OciSeccomp {
  dockerProfile(profile, at);
  const { archMap, ...rest } = profile as DockerProfile;
  const kernel = parseKernel(context.kernelVersion);
  const syscalls = rest.syscalls?.filter(
    ({ includes, excludes, ...rule }) =>
      isAboutCalls(rule) &&
      isIncluded(includes ?? {}, context, kernel) &&
      !isExcluded(excludes ?? {}, context, kernel),
  );
  const own = abis[context.arch][0].name;
  const entry = archMap?.find(({ architecture }) => architecture === own);
  const architectures = entry && [own, ...(entry.subArchitectures ?? [])];
  return copyProfile({
    ...rest,
    syscalls: syscalls ?? null,
    architectures: architectures ?? rest.architectures ?? null,
  });
}

/** A rule that names no call says nothing, and OCI has no such rules. */
function isAboutCalls({ name, names }: DockerSyscall): boolean {
  return names ? names.length > 0 : Boolean(name);
}

const goArchitecture: Readonly<Record<Machine, string>> = { x64: 'amd64', arm64: 'arm64' };

function isIncluded(
  condition: DockerCondition,
  context: ProfileContext,
  kernel: KernelVersion,
): boolean {
  const { caps, arches, minKernel } = condition;
  if (arches && arches.length > 0 && !arches.includes(goArchitecture[context.arch])) return false;
  if (minKernel && !atLeast(kernel, parseKernel(minKernel))) return false;
  return (caps ?? []).every((name) => context.capabilities.includes(name));
}

function isExcluded(
  condition: DockerCondition,
  context: ProfileContext,
  kernel: KernelVersion,
): boolean {
  const { caps, arches, minKernel } = condition;
  if (arches?.includes(goArchitecture[context.arch])) return true;
  if (minKernel && atLeast(kernel, parseKernel(minKernel))) return true;
  return (caps ?? []).some((name) => context.capabilities.includes(name));
}

function copyProfile(profile: DockerProfile): OciSeccomp {
  const { defaultAction, defaultErrnoRet, architectures, flags, syscalls } = profile;
  return {
    defaultAction,
    ...(isGiven(defaultErrnoRet) && { defaultErrnoRet }),
    ...(architectures && { architectures: [...architectures] }),
    ...(flags && { flags: [...flags] }),
    ...(syscalls && { syscalls: syscalls.map(copySyscall) }),
  };
}

function copySyscall(syscall: DockerSyscall): SeccompSyscall {
  const { name, names, action, errnoRet, args } = syscall;
  return {
    names: names ? [...names] : name ? [name] : [],
    action,
    ...(isGiven(errnoRet) && { errnoRet }),
    ...(args && args.length > 0 && { args: args.map(copyArgument) }),
  };
}

function copyArgument({ index, value, valueTwo, op }: DockerArgument): SeccompArgument {
  return {
    index,
    value: fromDigits(value),
    ...(isGiven(valueTwo) && { valueTwo: fromDigits(valueTwo) }),
    op,
  };
}

/** A string of digits as a number, or as a bigint where a number would lose some. */
function fromDigits(value: number | bigint | string): number | bigint {
  if (typeof value !== 'string') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value);
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
