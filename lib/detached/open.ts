import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted, unlessAborted } from '../abort.js';
import { isFrozenNow } from '../cgroups/index.js';
import type { ContainerStart } from '../container/container.js';
import { type ContainerExit, exitOf } from '../container/exit.js';
import type { ContainerState } from '../container/info.js';
import { ContainerError, orScarcity, StateError } from '../errors.js';
import { rejoin } from '../follow.js';
import { hostFacts } from '../host/hostFacts.js';
import { expectRange } from '../host/idPool.js';
import type { Launched } from '../launch.js';
import { LauncherClient } from '../launcher/launcher.js';
import { request } from '../launcher/messages.js';
import { untilEnded } from '../launcher/processEnd.js';
import type { Facts } from '../policy/facts.js';
import { SocketType } from '../sys/constants.js';
import type { SyscallError } from '../sys/error.js';
import { connectTo } from '../sys/files.js';
import { Detachment, removeDirectory } from './detachment.js';
import { endNow, endOfSilent } from './end.js';
import { type DetachedState, endTime, readState } from './state.js';
import { containerDir, isClaimed, isId, listStateDirs, stateFile } from './stateDir.js';

/** A detached container as `Container.list` shows it. */
export interface ContainerSummary {
  id: string;
  state: ContainerState;
  /** Host pid of its first process; absent once it has ended. */
  pid?: number;
  /** ms since the epoch. */
  createdAt: number;
  labels: Readonly<Record<string, string>>;
  /** Absent where our init is all. */
  command?: string[];
  /** How it ended, once it has. */
  exit?: ContainerExit;
  /** When, ms since the epoch; absent where nobody saw it. */
  endedAt?: number;
  /** Why nothing is known of it: its state is damaged, or another version's. */
  error?: ContainerError;
}

/** Which containers `Container.list` shows. */
export interface ListOptions {
  /** Those that have ended, too. Default `false`. */
  all?: boolean | undefined;
  /** Only those that have all of these. */
  labels?: Readonly<Record<string, string>> | undefined;
}

/** How long a monitor may take to answer, ms: longer than a machine that is merely slow lets it wait. */
const answerPatience = 30_000;

/** A container that was found again. */
type Opened = ContainerStart & { detachment: Detachment };

/** A connection to the monitor; undefined when nobody listens any more. */
async function connect(
  id: string,
  signal: AbortSignal | undefined,
): Promise<LauncherClient | undefined> {
  let dir: number;
  try {
    dir = openSync(containerDir(id), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const type = SocketType.SOCK_SEQPACKET | SocketType.SOCK_NONBLOCK;
  // By descriptor: the path itself may be too long for a socket's address (unix(7)).
  const path = `/proc/self/fd/${dir}/${stateFile.socket}`;
  try {
    for (let tries = 0; ; tries++) {
      try {
        return LauncherClient.connect(connectTo(path, type));
      } catch (error) {
        const { code } = error as SyscallError;
        if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
        // EAGAIN: so many are waiting to be let in. All else is not the monitor's doing.
        if (code !== 'EAGAIN') throw error;
        if (tries > 200) throw busy(id, error);
      }
      await sleep(25);
      throwIfAborted(signal);
    }
  } finally {
    closeSync(dir);
  }
}

/** Whether the monitor answers in time; its socket takes connections also while it is stopped. */
async function isAnswered(
  answer: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(answerPatience, false, { signal: over.signal }).catch(() => false);
  try {
    return await unlessAborted(Promise.race([answer.then(() => true), late]), signal);
  } finally {
    over.abort();
  }
}

function silent({ id, monitorPid }: DetachedState): StateError {
  return new StateError('ERR_MONITOR_BUSY', `container ${id}: its monitor does not answer`, {
    phase: 'launcher',
    hint: `it may be stopped: kill -CONT ${monitorPid} lets it go on; kill -9 ends it and the container`,
  });
}

function busy(id: string, cause: unknown): StateError {
  return new StateError('ERR_MONITOR_BUSY', `container ${id}: its monitor lets nobody in`, {
    phase: 'launcher',
    cause,
    hint: 'it serves 63 processes at most beside the one that created it; or it is stopped (SIGSTOP)',
  });
}

/** Facts of this host with the container's own. */
function factsOf({ facts }: DetachedState): Facts {
  const { fileSources, ...ids } = facts;
  return { ...hostFacts(), ...ids, hostEntries: [], fileSources: new Set(fileSources) };
}

/** The container of a monitor, as it was after its launch. */
async function join(
  state: DetachedState,
  launcher: LauncherClient,
  signal: AbortSignal | undefined,
): Promise<Launched | undefined> {
  const { number, pid, reads, isolation, cgroup, spec, serves } = state;
  // First, so that no end is missed.
  const running = rejoin(launcher, { id: number, pid, reads });
  // Its monitor has locked its ids for as long as it lives.
  running.ended.then(
    () => expectRange(running.gone.then(() => untilEnded(state.monitorPid))),
    () => {},
  );
  const answer = launcher.ask(request.hello, number);
  if (!(await isAnswered(answer, signal))) throw silent(state);
  const { errno } = await answer;
  if (errno !== 0) return undefined;
  const supervisor = { facts: hostFacts(), launcher };
  const inside = { supervisor, spec, facts: factsOf(state), serves, reads };
  return { ...running, isolation, cgroup, inside };
}

/**
 * One that nobody answers for.
 * @throws StateError `ERR_MONITOR_BUSY` when its monitor lives all the same
 */
async function stopped(state: DetachedState, cause?: unknown): Promise<Opened> {
  const end = await endOfSilent(state);
  if (end === undefined) throw cause instanceof StateError ? cause : busy(state.id, cause);
  const detachment = new Detachment(state, undefined);
  return { ...common(state), detachment, exit: exitOf(end, undefined) };
}

function common({ id, spec, labels, createdAt, layerOptions }: DetachedState) {
  return { id, spec, labels, createdAt, layerOptions };
}

/**
 * Finds a detached container again.
 * @throws AbortError; NotFoundError `ERR_CONTAINER_NOT_FOUND`
 * @throws StateError `ERR_CONTAINER_STATE`, `ERR_MONITOR_BUSY`
 * @throws ContainerError `ERR_LAUNCH_FAILED` without a free descriptor
 */
export async function openDetached(id: string, signal?: AbortSignal): Promise<Opened> {
  throwIfAborted(signal);
  try {
    return await find(id, signal);
  } catch (error) {
    throw orScarcity(error);
  }
}

async function find(id: string, signal: AbortSignal | undefined): Promise<Opened> {
  const state = readState(id);
  const launcher = await connect(id, signal);
  // Read again: somebody may have removed it meanwhile.
  if (launcher === undefined) return stopped(readState(id));
  let launched: Launched | undefined;
  let refusal: unknown;
  try {
    launched = await join(state, launcher, signal);
  } catch (error) {
    // It has ended meanwhile, or there are too many of us.
    refusal = error;
  }
  if (launched === undefined) {
    launcher.close();
    throwIfAborted(signal);
    return stopped(readState(id), refusal);
  }
  const detachment = new Detachment(state, launcher);
  const launch = Promise.resolve({ ...launched, ended: detachment.watch(launched.ended) });
  return { ...common(state), detachment, launch };
}

async function summary(id: string): Promise<ContainerSummary | undefined> {
  let state: DetachedState;
  try {
    state = readState(id);
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    // Removed meanwhile.
    if (error.code === 'ERR_CONTAINER_NOT_FOUND') return undefined;
    return { id, state: isClaimed(id) ? 'running' : 'stopped', createdAt: 0, labels: {}, error };
  }
  const { createdAt, labels, command, pid } = state;
  const known = { id, createdAt, labels, ...(command && { command }) };
  const end = endNow(state);
  if (end === undefined) {
    const paused = isFrozenNow(state.cgroup.paths);
    return { ...known, state: paused ? 'paused' : 'running', pid };
  }
  const endedAt = endTime(id);
  const exit = exitOf(end, undefined);
  return { ...known, state: 'stopped', exit, ...(endedAt !== undefined && { endedAt }) };
}

async function summaries(): Promise<(ContainerSummary | undefined)[]> {
  try {
    return await Promise.all(listStateDirs().map(summary));
  } catch (error) {
    throw orScarcity(error);
  }
}

/**
 * Detached containers of this user, the oldest first.
 * @throws PermissionError `ERR_NO_RUNTIME_DIR`, `ERR_STATE_DIR`
 * @throws ContainerError `ERR_LAUNCH_FAILED` without a free descriptor
 */
export async function listDetached({
  all = false,
  labels = {},
}: ListOptions = {}): Promise<ContainerSummary[]> {
  const found = await summaries();
  return found
    .filter((each) => each !== undefined)
    .filter(({ state }) => all || state !== 'stopped')
    .filter((each) => Object.entries(labels).every(([name, value]) => each.labels[name] === value))
    .sort((a, b) => a.createdAt - b.createdAt);
}

/**
 * Removes what is kept of a container whose state nobody can read.
 * @throws StateError `ERR_CONTAINER_RUNNING` while its monitor lives
 */
export async function removeDamaged(id: string): Promise<void> {
  if (!isId(id)) return;
  if (isClaimed(id)) {
    throw new StateError('ERR_CONTAINER_RUNNING', `container ${id}: its monitor lives`, {
      phase: 'launcher',
      hint: 'end the monitor first; its state cannot be read',
    });
  }
  await removeDirectory(id);
}
