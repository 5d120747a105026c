import { launcherStarted } from './diagnostics.js';
import { type ContainerError, errnoName, PermissionError, UnsupportedError } from './errors.js';
import { type HostFacts, hostFacts } from './host/hostFacts.js';
import { idFacts } from './host/idFacts.js';
import { idLockFd } from './host/idLock.js';
import { applyLauncherMap, launcherMap } from './host/idmaps.js';
import { IdRanges } from './host/idRanges.js';
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

async function start(restart = false): Promise<Supervisor> {
  const facts = hostFacts();
  const map = facts.privileged ? undefined : launcherMap();
  const ids = new IdRanges(idFacts(map));
  const launcher = await LauncherClient.start({
    lockFd: idLockFd(facts.privileged) ?? -1,
    ...(map === undefined ? {} : { mapIds: (pid: number) => applyLauncherMap(pid, map) }),
  });
  if (!(launcher instanceof LauncherClient)) throw setupError(launcher.failed, launcher.errno);
  launcherStarted({ pid: launcher.pid, restart });
  return { facts, launcher, ids };
}

/**
 * The supervisor of this environment; the launcher starts on first use, and again if it was killed.
 * @throws PermissionError `ERR_USERNS_RESTRICTED`
 * @throws UnsupportedError `ERR_UNSUPPORTED_KERNEL`, `ERR_UNSUPPORTED_PLATFORM`
 */
export async function supervisor(): Promise<Supervisor> {
  current ??= start();
  const pending = current;
  try {
    const ready = await pending;
    if (ready.launcher.gone === undefined) return ready;
  } catch (error) {
    // The next call may find the cause mended.
    if (current === pending) current = undefined;
    throw error;
  }
  if (current === pending) current = start(true);
  return supervisor();
}
