import { type ContainerError, errnoName, PermissionError, UnsupportedError } from './errors.js';
import { type HostFacts, hostFacts } from './host/hostFacts.js';
import { idFacts } from './host/idFacts.js';
import { idLockFd } from './host/idLock.js';
import { applyLauncherMap, launcherMap } from './host/idmaps.js';
import { IdRanges } from './host/idRanges.js';
import type { RangeLock } from './host/idPool.js';
import { LauncherClient } from './launcher/launcher.js';

/** What this Node environment shares between its containers: a launcher and the ids it gives. */
export interface Supervisor {
  facts: HostFacts;
  launcher: LauncherClient;
  ids: IdRanges;
}

let current: Promise<Supervisor> | undefined;

function setupError(failed: string, errno: number): ContainerError {
  const facts = { phase: 'launcher', errno: -errno, syscall: 'unshare' } as const;
  const name = errnoName(errno);
  if (name === 'ENOSYS') {
    return new UnsupportedError(
      'ERR_UNSUPPORTED_KERNEL',
      `this kernel lacks a system call that ${failed} needs`,
      facts,
    );
  }
  return new PermissionError(
    'ERR_USERNS_RESTRICTED',
    `an ordinary user may not make containers here: ${failed} failed with ${name}`,
    {
      ...facts,
      hint: 'user namespaces are switched off or restricted by an LSM, run ringfort doctor for the mend',
    },
  );
}

/** An id lock of its own, for a launcher that keeps its ranges longer than this process does. */
export interface OwnLock extends RangeLock {
  readonly fd: number;
}

/**
 * Starts a launcher.
 * @param lock default: what this process's other launchers use
 * @throws as `supervisor`
 */
export async function startSupervisor(lock?: OwnLock): Promise<Supervisor> {
  const facts = hostFacts();
  const map = facts.privileged ? undefined : launcherMap();
  const ids = new IdRanges({ ...idFacts(map), ...(lock && { lock }) });
  const launcher = await LauncherClient.start({
    lockFd: lock?.fd ?? idLockFd(facts.privileged) ?? -1,
    ...(map === undefined ? {} : { mapIds: (pid: number) => applyLauncherMap(pid, map) }),
  });
  if (!(launcher instanceof LauncherClient)) throw setupError(launcher.failed, launcher.errno);
  return { facts, launcher, ids };
}

/**
 * The supervisor of this environment; the launcher starts on first use, and again if it was killed.
 * @throws PermissionError `ERR_USERNS_RESTRICTED`
 * @throws UnsupportedError `ERR_UNSUPPORTED_KERNEL`, `ERR_UNSUPPORTED_PLATFORM`
 */
export async function supervisor(): Promise<Supervisor> {
  current ??= startSupervisor();
  const pending = current;
  try {
    const ready = await pending;
    if (ready.launcher.gone === undefined) return ready;
  } catch (error) {
    // The next call may find the cause mended.
    if (current === pending) current = undefined;
    throw error;
  }
  if (current === pending) current = undefined;
  return supervisor();
}
