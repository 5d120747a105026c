import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { close } from '../sys/files.js';
import { pidfdOpen, pidfdSendSignal } from '../sys/process.js';

/**
 * The processes in one cgroup, not those below it. 0 is one of a pid namespace that we do not see.
 * None where the cgroup has gone.
 */
export function membersOf(dir: string): number[] {
  try {
    return readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/**
 * Kills a process of a cgroup, once it is sure that what has the number is in there: another may have
 * got it since.
 * @throws SyscallError EPERM when it is not ours to kill
 */
export function killMember(dir: string, pid: number): void {
  // kill(2) would take 0 for our own group.
  if (pid <= 0) return;
  let pidfd = -1;
  try {
    pidfd = pidfdOpen(pid);
    if (membersOf(dir).includes(pid)) pidfdSendSignal(pidfd, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  } finally {
    if (pidfd >= 0) close(pidfd);
  }
}
