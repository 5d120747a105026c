import { constants } from 'node:os';
import { invalid } from '../errors.js';
import { native, returned } from './call.js';
import { bytes, natural, u32, u64 } from './check.js';
import { Seccomp } from './constants.js';
import { SyscallError } from './error.js';

/** Three of a thread's capability sets: bit n stands for capability n of capabilities(7). */
export interface CapabilitySets {
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
}

/**
 * Reads the capability sets of a thread: capget(2).
 * @param pid id of the process (its main thread) or thread; 0, the default, is the calling thread
 * @throws SyscallError
 */
export function capget(pid = 0): CapabilitySets {
  const data = new Uint32Array(6);
  returned(native().capget(natural('capget.pid', pid), data), 'capget');
  const set = (index: number) => (BigInt(data[index + 3] ?? 0) << 32n) | BigInt(data[index] ?? 0);
  return { effective: set(0), permitted: set(1), inheritable: set(2) };
}

/**
 * Sets the capability sets: capset(2).
 *
 * Warning: of the calling thread only; the other threads keep theirs, and anything that can run
 * code in this process has those too.
 * @throws SyscallError EPERM for a permitted capability that the thread has not
 */
export function capset(sets: CapabilitySets): void {
  const words = [
    u64('capset.effective', sets.effective),
    u64('capset.permitted', sets.permitted),
    u64('capset.inheritable', sets.inheritable),
  ];
  const half = (shift: bigint) => words.map((word) => Number((word >> shift) & 0xffffffffn));
  returned(native().capset(Uint32Array.from([...half(0n), ...half(32n)])), 'capset');
}

/** One struct sock_filter: code, two jumps, operand. */
const instructionBytes = 8;
/** BPF_MAXINSNS */
const maxInstructions = 4096;

/**
 * Installs a seccomp filter: seccomp(2), SECCOMP_SET_MODE_FILTER. Needs no_new_privs or
 * CAP_SYS_ADMIN. A filter cannot be taken off.
 *
 * Warning: acts on the calling thread only (and what it starts later), unless
 * SECCOMP_FILTER_FLAG_TSYNC is given. SECCOMP_FILTER_FLAG_TSYNC_ESRCH is added to that, so that a
 * thread which cannot follow is an ESRCH error.
 * @param flags `Seccomp.SECCOMP_FILTER_FLAG_*`, or-ed
 * @param filter struct sock_filter[], in this machine's byte order; 1 to 4096 instructions
 * @returns the listener's descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER, else 0
 * @throws SyscallError EACCES without the right, EINVAL for a program that the kernel refuses
 */
export function seccompSetModeFilter(flags: number, filter: Uint8Array): number {
  const { length } = bytes('seccompSetModeFilter.filter', filter);
  const count = length / instructionBytes;
  if (!Number.isInteger(count) || count < 1 || count > maxInstructions) {
    const expected = `1 to ${maxInstructions} instructions of ${instructionBytes} bytes`;
    throw invalid('seccompSetModeFilter.filter', expected, `${length} bytes`);
  }
  const { SECCOMP_FILTER_FLAG_TSYNC: tsync, SECCOMP_FILTER_FLAG_TSYNC_ESRCH: esrch } = Seccomp;
  const asked = u32('seccompSetModeFilter.flags', flags);
  const all = (asked & tsync) === 0 ? asked : (asked | esrch) >>> 0;
  return returned(native().seccompSetModeFilter(all, filter), 'seccomp');
}

/**
 * Which version of Landlock the kernel enforces: landlock_create_ruleset(2) with
 * LANDLOCK_CREATE_RULESET_VERSION.
 * @returns 1 or more; 0 when the kernel has no Landlock or was started without it
 * @throws SyscallError for anything else, as when a seccomp filter forbids the question
 */
export function landlockAbi(): number {
  const rc = native().landlockAbi();
  if (rc === -constants.errno.ENOSYS || rc === -constants.errno.EOPNOTSUPP) return 0;
  if (rc < 0) throw new SyscallError(rc, 'landlock_create_ruleset');
  return rc;
}
