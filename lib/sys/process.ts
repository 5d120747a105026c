import { constants } from 'node:os';
import { invalid } from '../errors.js';
import { native, returned } from './call.js';
import { descriptor, integer, natural, u32, u64 } from './check.js';
import { Prctl } from './constants.js';

/** Highest signal number, SIGRTMAX. */
const maxSignal = 64;

/**
 * Opens a descriptor of a process, which unlike its number is never reused: pidfd_open(2). It
 * becomes readable when the process has ended.
 * @param flags 0, or `PidfdFlags.PIDFD_NONBLOCK`
 * @returns a descriptor; it is always close-on-exec
 * @throws SyscallError ESRCH when there is no such process
 */
export function pidfdOpen(pid: number, flags = 0): number {
  const rc = native().pidfdOpen(natural('pidfdOpen.pid', pid), u32('pidfdOpen.flags', flags));
  return returned(rc, 'pidfd_open', { about: `pid ${pid}` });
}

/**
 * Sends a signal to a process by descriptor: pidfd_send_signal(2).
 * @param signal number or name; 0 only asks whether it could be sent
 * @throws SyscallError ESRCH when the process has ended and been waited for
 */
export function pidfdSendSignal(pidfd: number, signal: number | NodeJS.Signals): void {
  const rc = native().pidfdSendSignal(
    descriptor('pidfdSendSignal.pidfd', pidfd),
    signalNumber('pidfdSendSignal.signal', signal),
  );
  returned(rc, 'pidfd_send_signal');
}

function signalNumber(name: string, signal: number | NodeJS.Signals): number {
  if (typeof signal === 'number') return integer(name, signal, 0, maxSignal);
  if (Object.hasOwn(constants.signals, signal)) return constants.signals[signal];
  throw invalid(name, 'a signal number or name', signal);
}

/** An option of `prctl`: one whose arguments and result are integers. */
export type PrctlOption = (typeof Prctl)[keyof typeof Prctl];

const prctlOptions: ReadonlySet<number> = new Set(Object.values(Prctl));

/**
 * Reads or changes an attribute of the caller: prctl(2).
 *
 * Warning: acts on the calling thread only, with these exceptions for the whole process:
 * PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER, PR_SET_THP_DISABLE.
 * PR_SET_PDEATHSIG counts the end of the parent *thread*, so also that of a worker.
 * @param option one of `Prctl`; others are refused, because they take addresses
 * @param arg2 its first argument, as the man page has it; the rest likewise; default 0
 * @returns what the call returns: the value for PR_GET_*, else 0
 * @throws SyscallError
 */
export function prctl(
  option: PrctlOption,
  arg2: number | bigint = 0,
  arg3: number | bigint = 0,
  arg4: number | bigint = 0,
  arg5: number | bigint = 0,
): number {
  if (!prctlOptions.has(option)) throw invalid('prctl.option', 'one of Prctl', option);
  const rc = native().prctl(
    option,
    u64('prctl.arg2', arg2),
    u64('prctl.arg3', arg3),
    u64('prctl.arg4', arg4),
    u64('prctl.arg5', arg5),
  );
  return returned(rc, 'prctl');
}

/** A resource limit; RLIM_INFINITY for none. The unit depends on the resource. */
export interface ResourceLimit {
  /** What is enforced now. */
  soft: bigint;
  /** What the soft limit may be raised to. */
  hard: bigint;
}

/**
 * Reads a resource limit of a process, and sets it: prlimit(2). Limits belong to the process, not
 * to a thread.
 * @param pid 0 for the calling process
 * @param resource one of `Rlimit`
 * @param newLimit left out: the limit is only read
 * @returns the limit as it was before the call
 * @throws SyscallError EPERM for raising a hard limit without CAP_SYS_RESOURCE
 */
export function prlimit(pid: number, resource: number, newLimit?: ResourceLimit): ResourceLimit {
  const old = new BigUint64Array(2);
  const fresh =
    newLimit &&
    BigUint64Array.of(
      u64('prlimit.newLimit.soft', newLimit.soft),
      u64('prlimit.newLimit.hard', newLimit.hard),
    );
  const rc = native().prlimit(
    natural('prlimit.pid', pid),
    u32('prlimit.resource', resource),
    fresh,
    old,
  );
  returned(rc, 'prlimit');
  const [soft = 0n, hard = 0n] = old;
  return { soft, hard };
}
