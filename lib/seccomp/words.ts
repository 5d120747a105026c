/** The words of an OCI `linux.seccomp` object. @see OCI runtime-spec, config-linux.md#seccomp */

/** What happens to a call, and its `SECCOMP_RET_*` value. @see seccomp(2) */
export const actions = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
} as const;

/** What denied calls return. @see errno(3) */
export const errno = {
  EPERM: 1,
  ENOMEM: 12,
  ENOSYS: 38,
  EPROTONOSUPPORT: 93,
  EAFNOSUPPORT: 97,
} as const;

/** An action that can be carried out; `SCMP_ACT_NOTIFY` cannot. */
export type SeccompAction = keyof typeof actions;

/** How an argument, all 64 bits of it, is compared. */
export const operators = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const;

/** An operator of a condition. */
export type SeccompOperator = (typeof operators)[number];

/** Flags of the system call that loads the filter, and their bits. @see seccomp(2) */
export const flags = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
} as const;

/** A flag that can be carried out; the others concern the notifications of `SCMP_ACT_NOTIFY`. */
export type SeccompFlag = keyof typeof flags;

/** Flags that exist but make no sense without `SCMP_ACT_NOTIFY`. */
export const listenerFlags: readonly string[] = [
  'SECCOMP_FILTER_FLAG_NEW_LISTENER',
  'SECCOMP_FILTER_FLAG_TSYNC_ESRCH',
  'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
];

/** Every architecture that a profile may name; a filter has branches for this machine's. */
export const architectures = [
  'SCMP_ARCH_X86',
  'SCMP_ARCH_X86_64',
  'SCMP_ARCH_X32',
  'SCMP_ARCH_ARM',
  'SCMP_ARCH_AARCH64',
  'SCMP_ARCH_MIPS',
  'SCMP_ARCH_MIPS64',
  'SCMP_ARCH_MIPS64N32',
  'SCMP_ARCH_MIPSEL',
  'SCMP_ARCH_MIPSEL64',
  'SCMP_ARCH_MIPSEL64N32',
  'SCMP_ARCH_PPC',
  'SCMP_ARCH_PPC64',
  'SCMP_ARCH_PPC64LE',
  'SCMP_ARCH_S390',
  'SCMP_ARCH_S390X',
  'SCMP_ARCH_PARISC',
  'SCMP_ARCH_PARISC64',
  'SCMP_ARCH_RISCV64',
  'SCMP_ARCH_LOONGARCH64',
  'SCMP_ARCH_M68K',
  'SCMP_ARCH_SH',
  'SCMP_ARCH_SHEB',
] as const;

/** The name of an architecture. */
export type SeccompArchitecture = (typeof architectures)[number];

/** Go's names of architectures, which docker's `includes` and `excludes` use. */
export const dockerArchitectures = [
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'loongarch64',
  'mips',
  'mips64',
  'mips64le',
  'mips64n32',
  'mipsel',
  'mipsel64',
  'mipsel64n32',
  'mipsle',
  'parisc',
  'parisc64',
  'ppc',
  'ppc64',
  'ppc64le',
  'riscv64',
  's390',
  's390x',
  'x32',
  'x86',
] as const;
