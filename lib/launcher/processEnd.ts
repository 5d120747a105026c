import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether a process has ended, reaped or not (proc_pid_stat(5)). */
export function isGone(pid: number): boolean {
  try {
    return /^.*\) [XZ] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

const lookEveryMs = 5;
const looks = 200;

/** Waits for the end of a process that is about to end: a second at most. The event loop is not kept alive. */
export async function untilEnded(pid: number): Promise<void> {
  for (let i = 0; i < looks && !isGone(pid); i++)
    await sleep(lookEveryMs, undefined, { ref: false });
}
