import fc from 'fast-check';
import { abis } from '../../lib/seccomp/abis.js';
import type {
  DockerCondition,
  DockerProfile,
  DockerSyscall,
  OciSeccomp,
  SeccompArgument,
  SeccompSyscall,
} from '../../lib/seccomp/profile.js';
import { actions, architectures, dockerArchitectures, operators } from '../../lib/seccomp/words.js';
import { capabilityNames } from '../../lib/spec/names.js';

/** Profiles for properties and fuzzers: well-formed ones, with everything that the formats have. */

const names = [...new Set([...abis.x64, ...abis.arm64].flatMap((abi) => [...abi.numbers.keys()]))];
const callName = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom('read', 'ioctl', 'socket', 'clone', 'openat') },
  { weight: 3, arbitrary: fc.constantFrom(...names, 'no_such_call') },
);

/** 64 bits, often at the edge of a half or of a sign. */
export const word: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(0n, 1n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n),
  fc.constantFrom(2n ** 32n + 1n, 2n ** 64n - 1n, 0xffffffff00000000n, 0x7e020000n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

const argument: fc.Arbitrary<SeccompArgument> = fc.record(
  { index: fc.nat(5), op: fc.constantFrom(...operators), value: word, valueTwo: word },
  { requiredKeys: ['index', 'op', 'value'] },
);

const args = fc.oneof(
  { weight: 2, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.array(argument, { minLength: 1, maxLength: 4 }) },
);

const outcome = fc
  .tuple(fc.constantFrom(...Object.keys(actions)), fc.option(fc.nat(4095), { nil: undefined }))
  .map(([action, errno]) => ({
    action: action as SeccompSyscall['action'],
    errno: action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE' ? errno : undefined,
  }));

const rule: fc.Arbitrary<SeccompSyscall> = fc
  .record({ names: fc.array(callName, { minLength: 1, maxLength: 12 }), outcome, args })
  .map(({ names, outcome: { action, errno }, args }) => ({
    names,
    action,
    ...(errno !== undefined && { errnoRet: errno }),
    ...(args !== undefined && { args }),
  }));

const ownArchitectures = fc.subarray(['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM'] as const);

/** An OCI `linux.seccomp` object. */
export const ociProfile: fc.Arbitrary<OciSeccomp> = fc
  .record({ outcome, architectures: ownArchitectures, syscalls: fc.array(rule, { maxLength: 50 }) })
  .map(({ outcome: { action, errno }, ...rest }) => ({
    defaultAction: action,
    ...(errno !== undefined && { defaultErrnoRet: errno }),
    ...rest,
  }));

const condition: fc.Arbitrary<DockerCondition> = fc.record(
  {
    caps: fc.option(fc.subarray([...capabilityNames], { maxLength: 2 })),
    arches: fc.option(
      fc.subarray(['amd64', 'arm64', ...dockerArchitectures], { maxLength: 4 }).map((list) => list),
    ),
    minKernel: fc.option(fc.constantFrom('4.8', '5.9', '6.1', '6.18', '7.0')),
  },
  { requiredKeys: [] },
);

/** A number as moby's JSON may have it. */
const digits = (value: bigint) => (value < 2n ** 53n ? Number(value) : String(value));

const dockerRule: fc.Arbitrary<DockerSyscall> = fc
  .record({ rule, includes: fc.option(condition), excludes: fc.option(condition) })
  .map(({ rule: { args, ...rest }, includes, excludes }) => ({
    ...rest,
    args: (args ?? []).map(({ index, op, value, valueTwo = 0n }) => ({
      index,
      op,
      value: digits(BigInt(value)),
      valueTwo: digits(BigInt(valueTwo)),
    })),
    comment: '',
    includes,
    excludes,
  }));

const archMap = fc.option(
  fc.array(
    fc.record({
      architecture: fc.constantFrom('SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64', ...architectures),
      subArchitectures: fc.option(ownArchitectures),
    }),
    { maxLength: 6 },
  ),
);

/** A profile in moby's format. */
export const mobyProfile: fc.Arbitrary<DockerProfile> = fc
  .record({ outcome, archMap, syscalls: fc.array(dockerRule, { maxLength: 50 }) })
  .map(({ outcome: { action, errno }, ...rest }) => ({
    defaultAction: action,
    ...(errno !== undefined && { defaultErrnoRet: errno }),
    ...rest,
  }));
