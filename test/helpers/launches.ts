import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LaunchEvents, LauncherClient } from '../../lib/launcher/launcher.js';
import { decodeStatus, type Report } from '../../lib/launcher/messages.js';
import { encodePlan } from '../../lib/plan/encode.js';
import type { Plan } from '../../lib/plan/steps.js';

/** A privileged launcher of this test's own. */
export async function startLauncher(): Promise<LauncherClient> {
  const client = await LauncherClient.start({ lockFd: -1 });
  if (client instanceof LauncherClient) return client;
  throw new Error(`launcher: ${client.failed}: errno ${client.errno}`);
}

/** How a launch went, once nothing is left of it. */
export interface Outcome {
  /** Events in the order they came. */
  events: (keyof LaunchEvents)[];
  running?: Report;
  failed?: Report;
  exited?: Report;
  lost?: Error;
  exitCode?: number | null;
  signal?: number | null;
}

/** A launch under way. */
export interface Launched {
  id: number;
  /** Resolves to the init's process id, or rejects when the launch fails. */
  running: Promise<number>;
  outcome: Promise<Outcome>;
  /** What has come so far. */
  events: readonly (keyof LaunchEvents)[];
}

/** Launches a plan; without `fds`, its standard streams are /dev/null. */
export function launch(
  client: LauncherClient,
  plan: Plan | Uint8Array,
  fds?: readonly number[],
): Launched {
  const devNull = fds === undefined ? openSync('/dev/null', 'r+') : -1;
  const outcome: Outcome = { events: [] };
  let resolveRunning: (pid: number) => void = () => {};
  let rejectRunning: (error: Error) => void = () => {};
  let resolveEnd: (outcome: Outcome) => void = () => {};
  const running = new Promise<number>((resolve, reject) => {
    resolveRunning = resolve;
    rejectRunning = reject;
  });
  running.catch(() => {}); // whoever does not await it learns of a failure from the outcome
  const end = new Promise<Outcome>((resolve) => {
    resolveEnd = resolve;
  });
  const events: LaunchEvents = {
    sent() {
      outcome.events.push('sent');
      if (devNull >= 0) closeSync(devNull);
    },
    running(report, pidfd) {
      outcome.events.push('running');
      outcome.running = report;
      closeSync(pidfd);
      resolveRunning(report.pid);
    },
    failed(report) {
      outcome.events.push('failed');
      outcome.failed = report;
      rejectRunning(new Error(`section ${report.section}, step ${report.step}: ${report.error}`));
    },
    exited(report) {
      outcome.events.push('exited');
      Object.assign(outcome, { exited: report }, decodeStatus(report.status));
    },
    gone(report) {
      outcome.events.push('gone');
      if (report.left === 0) resolveEnd(outcome);
    },
    pty: closeSync,
    lost(error) {
      outcome.events.push('lost');
      outcome.lost = error;
      rejectRunning(error);
      resolveEnd(outcome);
    },
  };
  const bytes = plan instanceof Uint8Array ? plan : encodePlan(plan);
  const id = client.launch(bytes, fds ?? [devNull, devNull, devNull], events);
  return { id, running, outcome: end, events: outcome.events };
}

/** Whether a process has ended: it is gone, or waits only for whoever inherited it to reap it. */
export function hasEnded(pid: number): boolean {
  try {
    return /^\S+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

/** Whether nothing at all is left of a process, no zombie either. */
export function isReaped(pid: number): boolean {
  return !existsSync(`/proc/${pid}`);
}

/** Waits for something that will come; the test's own time limit says when it has not. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}
