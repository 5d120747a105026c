import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { parseUsage, type Usage, verdict } from './cgroups/index.js';
import { debugLaunch } from './debug.js';
import { Deferred } from './deferred.js';
import { orScarcity } from './errors.js';
import { launchError } from './launchError.js';
import type { LaunchEvents, LauncherClient } from './launcher/launcher.js';
import { decodeStatus, type Report } from './launcher/messages.js';
import type { Plan } from './plan/steps.js';
import { signalName } from './result.js';
import { close } from './sys/files.js';
import { addTrace, endTrace, mark, tracing } from './trace.js';

/** How a container or a program in it ended. */
export interface Ended {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  usage: Usage;
  /** The memory limit ended it. */
  oom: boolean;
  /** A fork was refused at the pids limit. */
  pids: boolean;
  /** Nobody saw it end: its detached container's monitor was killed. */
  lost?: boolean;
}

/** Something that the launcher has started, from then to its end. */
export interface Running {
  /** The launcher's number of it. */
  readonly id: number;
  /** Host pid of its first process. */
  readonly pid: number;
  /** Resolves when it has ended; rejects when the launcher died under it. */
  readonly ended: Promise<Ended>;
  /** Resolves when nothing of it is left on the host, or what is left is only retried. */
  readonly gone: Promise<void>;
  /** Sends a signal to the (main) program. */
  signal(number: number): void;
  /** Ends it and everything that it has started, as far as a cgroup holds them together. */
  kill(): void;
  /** Whether it keeps this process's event loop alive; at first it does. */
  hold(alive: boolean): void;
}

/** What somebody wants to hear of a start, and what it is about. */
export interface Follow {
  /** For debug output. */
  name: string;
  readonly plan: Plan;
  /** The files that its teardown reads; default: as the plan says. */
  reads?: ReadPaths;
  /** What has been sent after it (`planFlag.release`): a failure is one of its steps from then on. */
  released?: Plan;
  /** Descriptors of ours that are closed once the plan has left. */
  opened: number[];
  onSent?: (() => void) | undefined;
  onPty?: ((fd: number) => void) | undefined;
  /** It is set up as far as its `hold` step. */
  onCreated?: ((created: Omit<Running, 'ended' | 'gone'>) => void) | undefined;
  /** Gives it up: it is killed, whenever it can be, and the start fails with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Its teardown is over, but for so many steps that are retried; 0: all that it held is free. */
  onGone?: (left: number) => void;
}

/** The files that a teardown reads, by the number of the step. Plain data. */
export type ReadPaths = Readonly<Record<number, string>>;

/** The files that the teardown of a plan reads. */
export function readPaths({ teardown }: Plan): ReadPaths {
  const reads = teardown.flatMap((step, index) =>
    step.op === 'read' ? [[index, step.path] as const] : [],
  );
  return Object.fromEntries(reads);
}

/** How something ended, from the launcher's report and what its teardown has read. */
export function endOf(paths: ReadPaths, report: Report): Ended {
  const { exitCode, signal } = decodeStatus(report.status);
  const reads = report.found.map(({ step, error, data }) => {
    const path = paths[step] ?? '';
    return error === 0 ? { path, data: data.toString('latin1') } : { path, errno: error };
  });
  const usage = parseUsage(reads, report);
  const { oom, pids } = verdict(usage, report.oom);
  return { exitCode, signal: signal === null ? null : signalName(signal), usage, oom, pids };
}

/** What can be done with something that runs. */
function controls(launcher: LauncherClient, id: number, pid: number) {
  return {
    id,
    pid,
    signal: (number: number) => launcher.signal(id, number),
    kill: () => launcher.kill(id),
    hold: (alive: boolean) => launcher.hold(id, alive),
  };
}

/** A message came without its descriptor: there was no room for it here (recvmsg(2), MSG_CTRUNC). */
function descriptorLost(): Error {
  const { EMFILE: errno } = constants.errno;
  const facts = { code: 'EMFILE', errno: -errno, syscall: 'recvmsg' };
  return Object.assign(new Error('recvmsg: too many open files'), facts);
}

/** Waits until nothing is left of it. Until then this process's event loop lives. */
export async function untilGone({
  ended,
  gone,
  hold,
}: Pick<Running, 'ended' | 'gone' | 'hold'>): Promise<void> {
  hold(true);
  await ended.catch(() => {});
  // The launcher's client has let go at the end of the program: a teardown that nobody waits for.
  hold(true);
  try {
    await gone;
  } finally {
    hold(false);
  }
}

/**
 * Sends a plan and turns the launcher's reports into promises: one for the start, one for the end,
 * one for the time when nothing is left.
 * @param send hands the plan to the launcher and returns its number
 */
export async function follow(
  launcher: LauncherClient,
  about: Follow,
  send: (events: LaunchEvents) => number,
): Promise<Running> {
  const started = new Deferred<Running>();
  const ended = new Deferred<Ended>();
  const gone = new Deferred<void>();
  const trace = debugLaunch(about.name, about);
  const reads = about.reads ?? readPaths(about.plan);
  const { name, signal, onGone } = about;
  const traced = tracing() ? about : undefined;
  // What only the start needs, the plan above all, a container that lives must not hold on to.
  let start: Follow | undefined = about;
  let sent = false;
  let id = 0;
  // Not before its descriptors have left: whoever hears of it closes them.
  const giveUp = () => {
    if (!sent || id === 0) return;
    launcher.kill(id);
    launcher.hold(id, false);
    started.reject(signal?.reason as Error);
  };
  const settle = () => {
    start = undefined;
    signal?.removeEventListener('abort', giveUp);
  };
  // A program whose terminal did not reach us is ended, and did not start.
  let refusal: unknown;
  const takePty = (fd: number) => {
    try {
      if (fd < 0) throw descriptorLost();
      start?.onPty === undefined ? close(fd) : start.onPty(fd);
    } catch (error) {
      refusal = orScarcity(error);
      launcher.kill(id);
    }
  };
  id = send({
    sent() {
      trace('sent');
      mark(name, 'sent');
      for (const fd of start?.opened.splice(0) ?? []) closeSync(fd);
      start?.onSent?.();
      sent = true;
      if (signal?.aborted === true) giveUp();
    },
    created(report) {
      trace('created');
      start?.onCreated?.(controls(launcher, id, report.pid));
    },
    running(report, pidfd) {
      trace('running');
      mark(name, 'running heard');
      if (pidfd >= 0) close(pidfd);
      if (refusal !== undefined) return;
      settle();
      // It was on its way when it was given up.
      if (signal?.aborted === true) return launcher.kill(id);
      started.resolve({
        ...controls(launcher, id, report.pid),
        ended: ended.promise,
        gone: gone.promise,
      });
    },
    failed(report) {
      const error =
        start === undefined ? undefined : launchError(start.released ?? start.plan, report);
      trace(`failed: ${error?.message}`);
      settle();
      started.reject((refusal ?? error) as Error);
    },
    exited(report) {
      trace('exited');
      mark(name, 'exited heard');
      if (refusal !== undefined) {
        settle();
        started.reject(refusal as Error);
      }
      ended.resolve(endOf(reads, report));
    },
    trace(report) {
      if (report.trace !== undefined && traced !== undefined)
        addTrace(name, report.trace, traced.plan);
    },
    gone(report) {
      if (report.left === 0) endTrace(name);
      trace(report.left === 0 ? 'gone' : `${report.left} teardown steps are retried`);
      onGone?.(report.left);
      gone.resolve();
    },
    pty: takePty,
    lost(error) {
      endTrace(name);
      onGone?.(0);
      settle();
      started.reject(error);
      ended.reject(error);
      gone.resolve();
    },
  });
  // It may have been sent at once, before it had a number.
  if (signal?.aborted === true) giveUp();
  else signal?.addEventListener('abort', giveUp, { once: true });
  return started.promise;
}

/**
 * Hears of a container that another process has launched.
 * @param launcher connected to its monitor
 * @param id the monitor's number of it
 */
export function rejoin(
  launcher: LauncherClient,
  { id, pid, reads }: { id: number; pid: number; reads: ReadPaths },
): Running {
  const ended = new Deferred<Ended>();
  const gone = new Deferred<void>();
  launcher.adopt(id, {
    sent() {},
    running(_report, pidfd) {
      if (pidfd >= 0) close(pidfd);
    },
    failed() {},
    exited: (report) => ended.resolve(endOf(reads, report)),
    gone: () => gone.resolve(),
    pty: close,
    lost(error) {
      ended.reject(error);
      gone.resolve();
    },
  });
  return { ...controls(launcher, id, pid), ended: ended.promise, gone: gone.promise };
}
