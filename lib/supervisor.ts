import { closeSync } from 'node:fs';
import { launcherStarted } from './diagnostics.js';
import { type ContainerError, errnoName, PermissionError, UnsupportedError } from './errors.js';
import { type HostFacts, hostFacts } from './host/hostFacts.js';
import { idFacts } from './host/idFacts.js';
import { idLockFd } from './host/idLock.js';
import { applyLauncherMap, launcherMap } from './host/idmaps.js';
import type { RangeLock } from './host/idPool.js';
import { IdRanges } from './host/idRanges.js';
import { createJournal, discardJournal, journalDirectory } from './host/journal.js';
import { sweep } from './host/sweep.js';
import { LauncherClient, type LauncherSetup } from './launcher/launcher.js';

/** What this Node environment shares between its containers: a launcher and the ids it gives. */
export interface Supervisor {
  facts: HostFacts;
  launcher: LauncherClient;
  ids: IdRanges;
}

let current: Promise<Supervisor> | undefined;
/** The last one that was there. */
let ready: Supervisor | undefined;

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
    `this process may not make containers here: ${failed} failed with ${name}`,
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
 * @param restart one was here before
 * @throws as `supervisor`
 */
export async function startSupervisor(lock?: OwnLock, restart = false): Promise<Supervisor> {
  const facts = hostFacts();
  const map = facts.privileged ? undefined : launcherMap();
  const ids = new IdRanges({ ...idFacts(map), ...(lock && { lock }) });
  const launcher = await startLauncher(facts.privileged, {
    lockFd: lock?.fd ?? idLockFd(facts.privileged) ?? -1,
    ...(map === undefined ? {} : { mapIds: (pid: number) => applyLauncherMap(pid, map) }),
  });
  if (!(launcher instanceof LauncherClient)) throw setupError(launcher.failed, launcher.errno);
  launcherStarted({ pid: launcher.pid, restart });
  return { facts, launcher, ids };
}

/** A launcher with a journal, after what dead ones have left is gone. */
async function startLauncher(privileged: boolean, setup: LauncherSetup) {
  const directory = journalDirectory(privileged);
  if (directory === undefined) return LauncherClient.start(setup);
  await sweep(directory);
  const journal = createJournal(directory);
  let launcher: Awaited<ReturnType<typeof LauncherClient.start>>;
  try {
    const ended = () => void sweep(directory);
    launcher = await LauncherClient.start({ ...setup, journalFd: journal.fd, ended });
  } catch (error) {
    discardJournal(journal);
    throw error;
  }
  // The launcher alone keeps the lock, so that what it leaves if it is killed can be swept at once.
  closeSync(journal.fd);
  return launcher;
}

/**
 * The supervisor of this environment; the launcher starts on first use, and again if it was killed.
 * @throws PermissionError `ERR_USERNS_RESTRICTED`, `ERR_ID_LOCK`, `ERR_STATE_DIR`
 * @throws ContainerError `ERR_JOURNAL`, `ERR_LAUNCH_FAILED`
 * @throws UnsupportedError `ERR_UNSUPPORTED_KERNEL`, `ERR_UNSUPPORTED_PLATFORM`
 */
export async function supervisor(): Promise<Supervisor> {
  current ??= startSupervisor();
  const pending = current;
  try {
    ready = await pending;
    if (ready.launcher.gone === undefined) return ready;
  } catch (error) {
    // The next call may find the cause mended.
    if (current === pending) current = undefined;
    throw error;
  }
  if (current === pending) current = startSupervisor(undefined, true);
  return supervisor();
}

/** The same without waiting, where it is there already. */
export function readySupervisor(): Supervisor | undefined {
  return ready?.launcher.gone === undefined ? ready : undefined;
}
