import type { Machine } from '../seccomp/abis.js';
import { allowsCall } from '../seccomp/verdict.js';

/** Something that is not 0: an address. */
const pointer = 1n << 12n;

/** RLIMIT_NOFILE and RLIMIT_FSIZE (getrlimit(2)), which a release may set. */
const limits = [7n, 1n];

/**
 * The calls of a parked program behind its filter, from the `park` step on (native/launcher/park.cc
 * and the steps of `compileRelease`), with the arguments that are known.
 */
const calls: readonly (readonly [name: string, args: readonly bigint[]])[] = [
  ['write', [3n, pointer, 1n]],
  ['recvmsg', [3n, pointer, 0x40000000n]], // MSG_CMSG_CLOEXEC
  ...[0n, 1n, 2n].map((fd) => ['dup3', [4n, fd, 0n]] as const),
  ['close_range', [3n, 0xffffffffn, 0n]],
  ['close_range', [3n, 3n, 4n]], // CLOSE_RANGE_CLOEXEC
  ['chdir', [pointer]],
  ['getcwd', [pointer, 4096n]],
  ...limits.map((resource) => ['prlimit64', [0n, resource, pointer, 0n]] as const),
  ['umask', [0o22n]],
  ['execve', [pointer, pointer, pointer]],
  ['exit_group', [70n]],
];

/** @returns the first call that the filter refuses to a parked program; undefined when there is none */
export function callRefusedToRelease(filter: Uint8Array, arch: Machine): string | undefined {
  return calls.find(([name, args]) => !allowsCall(filter, arch, name, args))?.[0];
}
