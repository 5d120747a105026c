import type { DockerProfile } from '../../../lib/seccomp/profile.js';

/** Profiles in moby's format: everything that it has, and the old forms. */
export const mobySeeds: readonly DockerProfile[] = [
  {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
    syscalls: [
      {
        names: ['read', 'write'],
        action: 'SCMP_ACT_ALLOW',
        args: null,
        includes: {},
        excludes: {},
      },
      { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
      {
        names: ['clone'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
        excludes: { caps: ['CAP_SYS_ADMIN'], arches: ['s390', 's390x'] },
      },
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    ],
  },
  {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X32'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [
      {
        name: 'personality',
        action: 'SCMP_ACT_TRACE',
        errnoRet: 7,
        args: [
          { index: 0, value: '18446744073709551615', op: 'SCMP_CMP_NE' },
          { index: 0, value: '3', valueTwo: null, op: 'SCMP_CMP_LT' },
        ],
      },
    ],
  },
  {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      { action: 'SCMP_ACT_KILL' },
      { name: '', action: 'SCMP_ACT_KILL' },
      { names: [], action: 'SCMP_ACT_KILL' },
    ],
  },
];
