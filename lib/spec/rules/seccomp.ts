import type { SpecSeccomp } from '../types.js';
import { integer, list, object, oneOf, type Rule } from './rule.js';
import { matching } from './text.js';

type Syscall = NonNullable<SpecSeccomp['syscalls']>[number];
type Argument = NonNullable<Syscall['args']>[number];

const action = oneOf(
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_NOTIFY',
);

const operator = oneOf(
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
);

/** The kernel's MAX_ERRNO. @see seccomp(2), SECCOMP_RET_ERRNO */
const errno = integer(0, 4095);

const word64: Rule = (value, at) => {
  const fits =
    typeof value === 'bigint' ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value);
  if (!fits || Number(value) < 0)
    throw at.invalid('an integer of 64 bits, a bigint from 2^53 on', value);
};

const argument = object<Argument>(
  { index: integer(0, 5), value: word64, valueTwo: word64, op: operator },
  { required: ['index', 'value', 'op'] },
);

const syscall = object<Syscall>(
  {
    names: list(matching(/^[a-z0-9_]+$/i, 'the name of a system call', 255), 1000, 1),
    action,
    errnoRet: errno,
    // libseccomp's bound, too: one comparison for each argument there is.
    args: list(argument, 6),
  },
  { required: ['names', 'action'] },
);

/** OCI `linux.seccomp` in form; lib/seccomp says which of it this machine can carry out. */
export const seccomp: Rule = object<SpecSeccomp>(
  {
    defaultAction: action,
    defaultErrnoRet: errno,
    architectures: list(
      matching(/^SCMP_ARCH_[A-Z0-9_]+$/, "a name such as 'SCMP_ARCH_X86_64'"),
      50,
    ),
    flags: list(
      matching(/^SECCOMP_FILTER_FLAG_[A-Z_]+$/, "a name such as 'SECCOMP_FILTER_FLAG_LOG'"),
      10,
    ),
    syscalls: list(syscall, 5000),
  },
  { required: ['defaultAction'], unsupported: ['listenerPath', 'listenerMetadata'] },
);
