import type { ContainerError } from '../errors.js';
import { launchError } from '../launchError.js';
import { decodeStatus, type Found, type Report } from '../launcher/messages.js';
import { encodePlan } from '../plan/encode.js';
import type { Plan } from '../plan/steps.js';
import { signalName } from '../result.js';
import { supervisor } from '../supervisor.js';
import { close } from './files.js';

/** How a cloned process ended. */
export interface CloneEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** What the plan's `read` steps found in the teardown, in their order. */
  found: Found[];
}

/** A process that a plan has made. */
export interface Cloned {
  /** Its pid as seen from here. */
  readonly pid: number;
  /** A pidfd of it (pidfd_open(2)); the caller's to close. */
  readonly pidfd: number;
  /** Resolves at its end, after the teardown has run once; rejects when the launcher died. */
  readonly ended: Promise<CloneEnd>;
  /** Sends a signal to it, by pidfd; to its main program when the plan has an init. */
  signal(number: number): void;
  /** Ends it, and everything in the cgroups that the teardown kills. */
  kill(): void;
}

function endOf(report: Report): CloneEnd {
  const { exitCode, signal } = decodeStatus(report.status);
  return { exitCode, signal: signal === null ? null : signalName(signal), found: report.found };
}

/**
 * clone3(2) as a plan: the launcher runs `prepare`, clones with `cloneFlags`, runs `attend` while
 * the child waits at its `wait` step, and the child runs `child` up to its `exec` step. `teardown`
 * runs when the process has ended, when the launch fails, and when this Node dies.
 *
 * The launcher refuses an `exec` before the walls that `waived` does not name: pivot, caps,
 * noNewPrivs, fds, seccomp, assert. It is one process for each Node environment and has one
 * thread, so nothing of this acts on a thread of Node.
 * @throws ContainerError `ERR_PLAN_TOO_LARGE`, or the launch error of the step that failed
 * @see clone(2), lib/plan/steps.ts for the steps
 */
export async function clone(plan: Plan): Promise<Cloned> {
  const bytes = encodePlan(plan);
  const { launcher } = await supervisor();
  return new Promise((resolve, reject) => {
    let settle: { end: (end: CloneEnd) => void; fail: (error: ContainerError) => void };
    const ended = new Promise<CloneEnd>((end, fail) => {
      settle = { end, fail };
    });
    ended.catch(() => {});
    const id = launcher.launch(bytes, plan.fds, {
      sent() {},
      running: ({ pid }, pidfd) =>
        resolve({
          pid,
          pidfd,
          ended,
          signal: (number) => launcher.signal(id, number),
          kill: () => launcher.kill(id),
        }),
      failed: (report) => reject(launchError(plan, report)),
      exited: (report) => settle.end(endOf(report)),
      gone() {},
      pty: (fd) => close(fd),
      lost(error) {
        reject(error);
        settle.fail(error);
      },
    });
  });
}
