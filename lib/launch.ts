import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { CgroupPlan } from './cgroups/index.js';
import { Deferred } from './deferred.js';
import { type ContainerError, NotFoundError, orScarcity } from './errors.js';
import { type Follow, follow, type ReadPaths, type Running } from './follow.js';
import { awaitSources } from './host/awaitSources.js';
import type { IdLease } from './host/idRanges.js';
import type { Isolation } from './isolation.js';
import { untilEnded } from './launcher/processEnd.js';
import type { Plan } from './plan/steps.js';
import type { Facts } from './policy/facts.js';
import { idsReturning, type Prepared, prepare } from './prepare.js';
import type { Recipe } from './recipe.js';
import type { Spec, SpecProcess } from './spec/types.js';
import { readySupervisor, type Supervisor, supervisor } from './supervisor.js';
import { beginTrace, endTrace, mark } from './trace.js';

/** A spec that says what to run. */
export type RunnableSpec = Spec & { process: SpecProcess };

/** A container from its launch to its end. */
export interface Launched extends Running {
  readonly isolation: Isolation;
  readonly cgroup: CgroupPlan;
  /** What further programs in it are made from. */
  readonly inside: Inside;
}

/** What a further program in a container is made from. */
export interface Inside {
  readonly supervisor: Pick<Supervisor, 'facts' | 'launcher'>;
  /** As it was launched: sources and users found. */
  readonly spec: RunnableSpec;
  readonly facts: Facts;
  /** Its init takes programs. */
  readonly serves: boolean;
  /** The accounts that are read at its end. */
  readonly reads: ReadPaths;
}

/** Somebody who may want a launch no longer. */
export interface GiveUp {
  /** One of them is aborted then; made only where there is something to wait for. */
  signals(): (AbortSignal | undefined)[];
  /** Throws what the launch fails with, where that is so. */
  check(): void;
}

/** What a launch needs beside the spec. */
export interface LaunchInput {
  id: string;
  spec: RunnableSpec;
  /** Guest ends of stdin, stdout, stderr; empty for a terminal. */
  fds: readonly number[];
  /** It lives on: its init, if it has one, takes further programs, each in a cgroup below its own. */
  lives?: boolean;
  /** Read end of a pipe that the program waits on before it starts. */
  hold?: number;
  onCreated?: Follow['onCreated'];
  /** The plan has left: the guest ends may be closed. */
  onSent?: () => void;
  /** The master side of the program's terminal. */
  onPty?: (fd: number) => void;
  /** Ends a launch that waits before it begins; from its start on the caller sees to that. */
  giveUp?: GiveUp | undefined;
  /** What is known of these options already, for a container that does not live on. */
  recipe?: Recipe | undefined;
  /** Its own, for a container that is to be detached. Default: this environment's. */
  supervisor?: Supervisor;
}

/**
 * The story of a launch: decide, encode, hand over, and report. When it rejects, nothing is left.
 * @throws ContainerError and its kinds; a program that fails is not an error
 */
export async function launch(input: LaunchInput): Promise<Launched> {
  try {
    return await carryOut(input);
  } catch (error) {
    endTrace(input.id);
    throw orScarcity(error);
  }
}

const { ENOENT } = constants.errno;

/** Starts that may fail because somebody replaces files of the host just then. */
const attempts = 4;

/**
 * A file of the host that is replaced, as every update does it, between the clone of its mount and
 * the moment that this is attached: the kernel attaches nothing whose name is gone.
 */
function sourceReplaced(error: unknown): boolean {
  const { errno, step } = error as Partial<ContainerError>;
  return (
    error instanceof NotFoundError && errno === -ENOENT && step?.startsWith('attach ') === true
  );
}

async function carryOut(input: LaunchInput): Promise<Launched> {
  const shared = input.supervisor ?? readySupervisor() ?? (await supervisor());
  // The guest's ends are needed until it is sure that there is no second attempt.
  let held = true;
  const closeOnce = () => {
    if (held) input.onSent?.();
    held = false;
  };
  const onCreated: LaunchInput['onCreated'] =
    input.onCreated &&
    ((created) => {
      closeOnce();
      input.onCreated?.(created);
    });
  try {
    for (let left = attempts; ; left--) {
      const gone = new Deferred<number>();
      try {
        return await attempt(shared, { ...input, onCreated }, gone.resolve);
      } catch (error) {
        // A detached container's launcher is there for one launch.
        if (left === 1 || input.supervisor !== undefined || !sourceReplaced(error)) throw error;
        // What is not free yet would be in the way of another attempt.
        if ((await awake(gone.promise)) > 0) throw error;
      }
    }
  } finally {
    closeOnce();
  }
}

/** Waits for something that the launcher says while it does not keep the event loop alive. */
async function awake<T>(promise: Promise<T>): Promise<T> {
  const alive = setInterval(() => {}, 1 << 30);
  try {
    return await promise;
  } finally {
    clearInterval(alive);
  }
}

/** Resolves with the promise, or when one of the signals is aborted. */
async function firstOf(
  promise: Promise<void>,
  signals: (AbortSignal | undefined)[],
): Promise<void> {
  const over = new AbortController();
  const aborted = signals.map(
    (each) =>
      each &&
      new Promise<void>((resolve) => {
        if (each.aborted) resolve();
        each.addEventListener('abort', () => resolve(), { once: true, signal: over.signal });
      }),
  );
  await Promise.race([promise, ...aborted.filter((each) => each !== undefined)]);
  over.abort();
}

/**
 * Decides everything about a launch. Where every range of ids is in use it waits for those of
 * containers that have ended: whoever has heard of an end may expect to start the next one.
 */
async function decide(shared: Supervisor, input: LaunchInput): Promise<Prepared> {
  const { id, recipe, fds, spec } = input;
  for (;;) {
    try {
      const known = recipe?.prepare(shared, id, fds);
      if (known === undefined) await awaitSources(spec);
      return known ?? prepare(shared, input);
    } catch (error) {
      const exhausted = (error as Partial<ContainerError>).code === 'ERR_ID_POOL_EXHAUSTED';
      const back = exhausted ? idsReturning(shared, spec) : undefined;
      if (back === undefined) throw error;
      await awake(firstOf(back, input.giveUp?.signals() ?? []));
      input.giveUp?.check();
    }
  }
}

async function attempt(
  shared: Supervisor,
  input: LaunchInput,
  onGone: (left: number) => void,
): Promise<Launched> {
  const { launcher } = shared;
  const { id: name, recipe, onPty, onCreated } = input;
  beginTrace(name);
  mark(name, 'launcher ready');
  const made = await decide(shared, input);
  const { bytes, lease, cgroup, opened, reads } = made;
  const about: Follow = {
    name,
    get plan() {
      return made.plan;
    },
    reads,
    opened,
    onPty,
    onCreated,
    onGone: releasing(lease, onGone),
  };
  try {
    const running = await follow(launcher, about, (events) =>
      launcher.launch(bytes, made.fds, events, input.supervisor !== undefined),
    );
    tellEnd(lease, running, input.supervisor === undefined ? undefined : launcher.pid);
    const { isolation, spec, facts, serves } = made;
    // Programs mount nothing: what there is in the host's root need not be kept for them.
    const kept: Facts = { ...facts, hostEntries: [] };
    const inside = { supervisor: shared, spec, facts: kept, serves, reads };
    return { ...running, isolation, cgroup, inside };
  } catch (error) {
    recipe?.forget();
    // Nothing runs with these ids: either nothing was started, or it has been reaped.
    lease.release();
    throw error;
  } finally {
    for (const fd of opened.splice(0)) closeSync(fd);
  }
}

/** Of its own scope, for it lives as long as the container: the plan and its bytes must not. */
function releasing(lease: IdLease, onGone: (left: number) => void): (left: number) => void {
  return (left) => {
    if (left === 0) lease.release();
    onGone(left);
  };
}

/** @param monitor pid of one, whose locks on the ids last as long as it lives */
function tellEnd(lease: IdLease, { ended, gone }: Running, monitor?: number): void {
  // Whoever is told of it afterwards finds the lease ending already.
  ended.then(
    () => lease.ending(monitor === undefined ? gone : gone.then(() => untilEnded(monitor))),
    () => {},
  );
}

/** The plan that `launch` would hand over; nothing is created, the ids are given back. */
export async function planOf(input: Omit<LaunchInput, 'fds'>): Promise<Plan> {
  const shared = await supervisor();
  const fds = input.spec.process.terminal === true ? [] : [0, 1, 2];
  const { plan, opened, lease } = await decide(shared, { ...input, fds });
  for (const fd of opened) closeSync(fd);
  lease.release();
  return plan;
}
