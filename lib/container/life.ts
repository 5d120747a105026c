import { setTimeout } from 'node:timers/promises';
import { abortError, throwIfAborted, unlessAborted } from '../abort.js';
import {
  addIoLimits,
  type CgroupPaths,
  type ContainerStats,
  freeze,
  isFrozenNow,
  killProgram,
  readStats,
  thaw,
  updateLimits,
} from '../cgroups/index.js';
import type { Detachment } from '../detached/detachment.js';
import type { Trace } from '../diagnostics.js';
import { Ending } from '../ending.js';
import { ContainerGoneError, codeOf, StateError } from '../errors.js';
import { untilGone } from '../follow.js';
import type { Launched, RunnableSpec } from '../launch.js';
import type { LimitsUpdate } from '../options.js';
import { annotation } from '../spec/annotations.js';
import { checkUpdate } from '../spec/checks.js';
import { ioByPath, resourcesOfUpdate } from '../spec/limits.js';
import { Turns } from '../turns.js';
import type { EventHub } from './events.js';
import { type ContainerExit, exitOf } from './exit.js';
import type { ContainerState } from './info.js';

/** ms that the launcher's word of a container's end may come after what failed because of it. */
const wordDelay = 1000;

/** Errors of a start that the end of its container may be behind. */
const symptoms = new Set(['ERR_LAUNCH_FAILED', 'ERR_LAUNCH_DIED', 'ERR_CONTAINER_NOT_RUNNING']);

/** What to do before something can be run in it. */
const whyNot: Readonly<Record<ContainerState, string>> = {
  created: 'start it first',
  running: 'it ends just now',
  paused: 'resume it first',
  stopped: 'it has ended',
};

/** A container that is set up and waits for `start`. */
export interface Waiting {
  pid: number;
  signal(number: number): void;
  kill(): void;
  go(): void;
}

/** What the life of a container begins with. */
export interface LifeStart {
  id: string;
  spec: RunnableSpec;
  /** Its launch; already settled unless it waits for `start`. Absent of one that has ended. */
  launch?: Promise<Launched> | undefined;
  /** How it ended, where it has already. */
  exit?: ContainerExit | undefined;
  /** It survives this process. */
  detachment?: Detachment | undefined;
  waiting?: Waiting | undefined;
  /** Told of its start and end; absent of one that was found again. */
  trace?: Trace | undefined;
}

const noUsage = { cpuTimeMs: 0, userMs: 0, systemMs: 0 };

/** The end of a container that was killed before its start. */
const neverRan: ContainerExit = {
  exitCode: null,
  signal: 'SIGKILL',
  reason: 'signal',
  usage: noUsage,
};

interface Abortable {
  signal?: AbortSignal | undefined;
}

/** The state of one container, and what changes it: one change at a time. */
export class Life {
  /** Resolves when it has ended. */
  readonly exit: Promise<ContainerExit>;
  readonly #start: LifeStart;
  readonly #events: EventHub;
  readonly #changes = new Turns(1);
  #waiting: Waiting | undefined;
  #launched: Launched | undefined;
  #state: ContainerState = 'created';
  #ended: ContainerExit | undefined;
  /** A freeze that is under way would hold what is killed (v1). */
  readonly #killed = new AbortController();
  /** Calls of `wait` that are pending. */
  #waits = 0;

  constructor(start: LifeStart, events: EventHub) {
    this.#start = start;
    this.#events = events;
    this.#waiting = start.waiting;
    this.#ended = start.exit;
    if (start.exit !== undefined) this.#state = 'stopped';
    this.exit = this.#live();
    // Whoever wants to know asks `wait`.
    this.exit.catch(() => {});
  }

  async #live(): Promise<ContainerExit> {
    if (this.#ended !== undefined) return this.#ended;
    const { launch, spec, trace, detachment } = this.#start;
    try {
      const launched = await launch;
      if (launched === undefined) throw new Error('a container without a launch');
      this.#launched = launched;
      this.#state = 'running';
      trace?.started(launched.pid);
      const ending = new Ending({ ...launched, kill: () => this.kill(9) }, {}, 0);
      const cpuTime = spec.annotations?.[annotation.cpuTime];
      if (cpuTime !== undefined) ending.watchCpuTime(Number(cpuTime));
      this.#events.started(launched.pid, launched.cgroup.paths);
      const ended = await launched.ended.finally(() => ending.done());
      this.#ended = exitOf(ended, ending.cause);
      this.#state = 'stopped';
      const { usage, ...facts } = this.#ended;
      trace?.exited(this.#ended);
      await this.#events.died(facts, usage);
      return this.#ended;
    } catch (error) {
      trace?.failed(error);
      if (this.#launched === undefined && this.#killed.signal.aborted) {
        // That it never ran is its end, not a failure.
        this.#ended = neverRan;
        return this.#ended;
      }
      if (this.#launched !== undefined && detachment === undefined) {
        await this.#events.died({ exitCode: null, signal: null, reason: 'lost' }, noUsage);
      }
      throw error;
    } finally {
      // Of one that was let go of, this is the last that is known.
      if (detachment?.disconnected !== true) this.#state = 'stopped';
      this.#waiting = undefined;
      this.#events.end();
    }
  }

  get state(): ContainerState {
    // Others may have paused or resumed one that is detached.
    if (this.#start.detachment !== undefined && /^(running|paused)$/.test(this.#state))
      this.#state =
        this.#launched && isFrozenNow(this.#launched.cgroup.paths) ? 'paused' : 'running';
    return this.#state;
  }

  /** Of its first process; undefined once it has ended. */
  get pid(): number | undefined {
    return this.#state === 'stopped' ? undefined : (this.#launched ?? this.#waiting)?.pid;
  }

  /** Its launch, once it has been started. */
  get launched(): Launched | undefined {
    return this.#launched;
  }

  /** How it ended. */
  get ended(): ContainerExit | undefined {
    return this.#ended;
  }

  /**
   * The launch of a container that can be asked for something.
   * @throws StateError `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_PAUSED`
   */
  running(): Launched {
    const launched = this.#launched;
    const { state } = this;
    if (launched !== undefined && state === 'running') return launched;
    const code = state === 'paused' ? 'ERR_CONTAINER_PAUSED' : 'ERR_CONTAINER_NOT_RUNNING';
    throw new StateError(code, `container ${this.#start.id}: expected to be running, is ${state}`, {
      phase: 'exec',
      hint: whyNot[state],
    });
  }

  /**
   * Starts something in it that was asked for while it ran.
   * @throws ContainerGoneError `ERR_CONTAINER_GONE` when that fails because it has ended meanwhile
   */
  async unlessEnded<T>(start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      if (!symptoms.has(codeOf(error))) throw error;
      // Without an errno: a process of the start was killed, and most likely all others with it.
      const { errno = 0 } = error as { errno?: number };
      if (this.#killed.signal.aborted || errno === 0) await this.#wordOfEnd();
      if (this.#state !== 'stopped') throw error;
      const facts = { phase: 'process', cause: error } as const;
      throw new ContainerGoneError('ERR_CONTAINER_GONE', 'the container has ended', facts);
    }
  }

  /** Waits for the word of its end, as long as that may be late. */
  async #wordOfEnd(): Promise<void> {
    // Then it comes for certain.
    if (this.#killed.signal.aborted) return void (await this.exit.catch(() => {}));
    const late = new AbortController();
    const ended = this.exit.catch(() => {}).finally(() => late.abort());
    await Promise.race([ended, setTimeout(wordDelay, undefined, late).catch(() => {})]);
    late.abort();
  }

  /** @throws StateError `ERR_CONTAINER_NOT_RUNNING` before its start */
  notBefore(): void {
    if (this.#state === 'created') this.running();
  }

  async start(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) {
      const message = `container ${this.#start.id}: expected to be created, is ${this.#state}`;
      throw new StateError('ERR_CONTAINER_STARTED', message, { phase: 'exec' });
    }
    waiting.go();
    await this.#start.launch;
  }

  /**
   * @returns false when it has ended
   * @throws ContainerGoneError `ERR_DISCONNECTED`
   */
  kill(signal: number): boolean {
    const target = this.#launched ?? this.#waiting;
    if (target === undefined || this.#state === 'stopped') return false;
    this.#start.detachment?.checkConnected();
    if (signal === 9) {
      this.#killed.abort();
      target.kill();
    } else target.signal(signal);
    return true;
  }

  async wait({ signal }: Abortable): Promise<ContainerExit> {
    throwIfAborted(signal);
    if (this.#start.detachment === undefined) return unlessAborted(this.exit, signal);
    // What is detached does not keep this process alive, but for whoever waits.
    if (this.#waits++ === 0) this.hold(true);
    try {
      return await unlessAborted(this.exit, signal);
    } finally {
      if (--this.#waits === 0) this.hold(false);
    }
  }

  /** Whether it keeps this process's event loop alive. */
  hold(on: boolean): void {
    this.#launched?.hold(on);
  }

  /** Ends it, and resolves when nothing of it is left. */
  async end(): Promise<void> {
    this.kill(9);
    // Also where it was let go of (`unref`): somebody waits now.
    this.hold(true);
    await this.exit.catch(() => {});
    if (this.#launched !== undefined) await untilGone(this.#launched);
  }

  pause(options: Abortable): Promise<void> {
    return this.#change(options, () => this.#freeze(options));
  }

  resume(options: Abortable): Promise<void> {
    return this.#change(options, () => this.#thaw(options));
  }

  async update(options: { limits: LimitsUpdate }): Promise<void> {
    checkUpdate(options);
    const { limits } = options;
    const resources = addIoLimits(resourcesOfUpdate(limits), ioByPath(limits));
    await this.#change({}, async () => {
      const launched = this.state === 'paused' ? (this.#launched as Launched) : this.running();
      const changed = await updateLimits(launched.cgroup.paths, resources);
      this.#events.emit('updated', { limits: changed });
    });
  }

  /** Kills every process in the cgroups of one program. */
  killProgram(program: CgroupPaths): Promise<void> {
    const { launched } = this;
    if (launched === undefined) return Promise.resolve();
    return this.#changes.take(() => killProgram(program, launched.cgroup.paths));
  }

  /** Runs `body` while nothing runs in it and nobody changes that; one that has ended is at rest. */
  atRest<T>(body: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#turn({ signal }, async () => {
      throwIfAborted(signal);
      this.notBefore();
      // Others may have paused it, or let it go on.
      const runs = this.state === 'running';
      const unlessEnded = (error: unknown) => {
        if (this.#state !== 'stopped') throw error;
      };
      if (runs) await this.#guard({ signal }, () => this.#freeze({ signal })).catch(unlessEnded);
      try {
        return await body();
      } finally {
        if (runs) await this.#guard({}, () => this.#thaw({})).catch(unlessEnded);
      }
    });
  }

  /** What it uses now; undefined once it has ended. */
  async stats(): Promise<ContainerStats | undefined> {
    if (this.#launched === undefined || this.#state === 'stopped') return undefined;
    const stats = await readStats(this.#launched.cgroup.paths);
    // Read while it was being taken down: nothing, or a part.
    return (this.#state as ContainerState) === 'stopped' ? undefined : stats;
  }

  async #freeze({ signal }: Abortable): Promise<void> {
    if (this.state === 'paused') return;
    const { paths } = this.running().cgroup;
    const { signal: killed } = this.#killed;
    await freeze(paths, { signal: AbortSignal.any([killed, ...(signal ? [signal] : [])]) });
    if (killed.aborted) await thaw(paths);
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    this.#events.emit('paused', {});
  }

  async #thaw(options: Abortable): Promise<void> {
    if (this.state !== 'paused') {
      this.running();
      return;
    }
    await thaw((this.#launched as Launched).cgroup.paths, options);
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.#events.emit('resumed', {});
  }

  #change(options: Abortable, change: () => Promise<void>): Promise<void> {
    return this.#turn(options, () => this.#guard(options, change));
  }

  /** A change in its turn, which an abort gives up. */
  async #turn<T>({ signal }: Abortable, change: () => Promise<T>): Promise<T> {
    try {
      return await this.#changes.take(change, signal);
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) throw abortError(signal);
      throw error;
    }
  }

  /** What goes wrong because it has ended meanwhile is said so. */
  async #guard({ signal }: Abortable, change: () => Promise<void>): Promise<void> {
    throwIfAborted(signal);
    try {
      await change();
    } catch (error) {
      if (signal !== undefined && error === signal.reason) throw abortError(signal);
      if (this.#killed.signal.aborted) await this.exit.catch(() => {});
      if (this.#state === 'stopped') this.running();
      throw error;
    }
  }
}
