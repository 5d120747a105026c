import type {
  DockerCondition,
  DockerProfile,
  OciSeccomp,
  ProfileContext,
} from '../../lib/seccomp/profile.js';

/**
 * What a profile in moby's format means on one machine, written apart from lib/seccomp/profile.ts:
 * the rules that count, and the architectures.
 * @see moby profiles/seccomp/seccomp_linux.go setupSeccomp()
 */
export function dockerMeaning(profile: DockerProfile, context: ProfileContext): OciSeccomp {
  const machine = { x64: ['amd64', 'SCMP_ARCH_X86_64'], arm64: ['arm64', 'SCMP_ARCH_AARCH64'] };
  const [goName = '', ociName = ''] = machine[context.arch];
  const version = (text: string) => {
    const [major = 0, minor = 0] = text.split(/[.-]/).map(Number);
    return 1000 * major + minor;
  };
  const recent = ({ minKernel }: DockerCondition) =>
    version(context.kernelVersion) >= version(minKernel ?? '0.0');
  const counts = (includes: DockerCondition, excludes: DockerCondition) => {
    for (const cap of includes.caps ?? []) if (!context.capabilities.includes(cap)) return false;
    for (const cap of excludes.caps ?? []) if (context.capabilities.includes(cap)) return false;
    const wanted = includes.arches ?? [];
    if (wanted.length > 0 && !wanted.includes(goName)) return false;
    if ((excludes.arches ?? []).includes(goName)) return false;
    if (!recent(includes)) return false;
    return excludes.minKernel == null || !recent(excludes);
  };
  const entry = profile.archMap?.find(({ architecture }) => architecture === ociName);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet != null && { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [...((entry ? entry.subArchitectures : profile.architectures) ?? [])],
    syscalls: (profile.syscalls ?? [])
      .filter(({ includes, excludes }) => counts(includes ?? {}, excludes ?? {}))
      .map(({ name, names, action, errnoRet, args }) => ({
        names: names ?? (name ? [name] : []),
        action,
        ...(errnoRet != null && { errnoRet }),
        args: (args ?? []).map(({ value, valueTwo, ...rest }) => ({
          ...rest,
          value: BigInt(value),
          valueTwo: BigInt(valueTwo ?? 0),
        })),
      })),
  };
}
