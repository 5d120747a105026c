import type { ContainerStats } from '../cgroups/index.js';
import type { Attachment, AttachOptions } from '../detached/attach.js';
import type { Detachment } from '../detached/detachment.js';
import type { LogEntry, LogOptions } from '../detached/logs.js';
import {
  type ContainerSummary,
  type ListOptions,
  listDetached,
  openDetached,
  removeDamaged,
} from '../detached/open.js';
import { StateError } from '../errors.js';
import {
  type CopyOptions,
  type CopyResult,
  copyIn,
  copyOut,
  FileAgent,
  FileSystem,
  type GuestPath,
} from '../files/index.js';
import type { Isolation } from '../isolation.js';
import type { Change } from '../layers/changes.js';
import type { LayerOptions } from '../layers/maintenance.js';
import type { Snapshot } from '../layers/snapshot.js';
import type { ExecOptions, LimitsUpdate, SpawnOptions } from '../options.js';
import { type RunResult, signalNumber } from '../result.js';
import { checkCall } from '../spec/rules/callOptions.js';
import type { Spec } from '../spec/types.js';
import { type ContainerEvent, EventHub } from './events.js';
import type { ContainerExit } from './exit.js';
import type { ContainerInfo, ContainerState } from './info.js';
import { setInternals } from './internals.js';
import { Life, type LifeStart } from './life.js';
import type { ContainerProcess } from './process.js';
import { Programs } from './programs.js';
import { sample } from './sample.js';
import {
  diff,
  type ForkOptions,
  fork,
  type Layered,
  type Origin,
  rollback,
  type SnapshotOptions,
  snapshot,
} from './snapshot.js';
import { type PipedOptions, type PipedProcess, spawnCall } from './spawnCall.js';
import { type ProcessInfo, processesIn } from './top.js';

const defaultStopTimeout = 10_000;

/** Options of `remove`. */
interface RemoveOptions {
  /** End it first, with SIGKILL. Default `false`. */
  force?: boolean | undefined;
}

/** What a `Container` is made from. */
export interface ContainerStart extends LifeStart {
  labels?: Readonly<Record<string, string>> | undefined;
  /** Default: now. */
  createdAt?: number | undefined;
  main?: ContainerProcess | undefined;
  origin?: Origin | undefined;
  /** Of one without `origin`: what its layers need of its options. */
  layerOptions?: LayerOptions | undefined;
}

/**
 * A container that lives until it is ended, its command ends, or this process does. Programs are
 * started in it by `exec` and `spawn`, any number at once; each has a cgroup, environment, user and
 * limits of its own. Leaving an `await using` block ends it, and everything in it.
 *
 * A detached one (`createContainer({ detached: true })`, `Container.open`) lives on without this
 * process: leaving an `await using` block only lets go of it. What was started in it from here by
 * `exec` and `spawn` ends with this process, as the children of a terminal that is closed.
 */
export class Container implements AsyncDisposable {
  /** As given, or 12 hexadecimal digits. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The `command` with its streams; undefined without one. */
  readonly main: ContainerProcess | undefined;
  /** The OCI spec that it was made from. Do not change it. */
  readonly spec: Spec;
  /** When it was created, ms since the epoch. */
  readonly createdAt: number;

  readonly #life: Life;
  readonly #detachment: Detachment | undefined;
  readonly #events: EventHub;
  readonly #programs: Programs;
  readonly #agent: FileAgent;
  readonly #origin: Origin | undefined;
  readonly #layerOptions: LayerOptions | undefined;
  #fs: FileSystem | undefined;

  /** @internal Use `createContainer`. */
  constructor(start: ContainerStart) {
    const { id, labels } = start;
    this.id = id;
    this.labels = { ...labels };
    this.main = start.main;
    this.spec = start.spec;
    this.createdAt = start.createdAt ?? Date.now();
    this.#detachment = start.detachment;
    this.#origin = start.origin;
    this.#layerOptions = start.origin?.options ?? start.layerOptions;
    this.#events = new EventHub(id);
    const life = new Life(start, this.#events);
    const programs = new Programs(id, life, this.#events);
    const agent = new FileAgent(
      () => programs.startFileAgent(),
      () => life.running(),
    );
    this.#life = life;
    this.#programs = programs;
    this.#agent = agent;
    setInternals(this, { life, programs });
    const close = () => agent.close();
    life.exit.then(close, close);
  }

  /**
   * Finds a detached container again, also one that has ended: until it is removed, `wait()` says
   * how.
   * @param options.signal gives up, as while its monitor is stopped
   * @throws InvalidSpecError; AbortError (`ABORT_ERR`)
   * @throws NotFoundError `ERR_CONTAINER_NOT_FOUND`
   * @throws StateError `ERR_CONTAINER_STATE` when what is kept of it is damaged; `ERR_MONITOR_BUSY`
   * when its monitor lets nobody in, or does not answer for 30 s
   * @throws ContainerError `ERR_LAUNCH_FAILED` without a free descriptor (EMFILE)
   * @throws PermissionError `ERR_NO_RUNTIME_DIR` for an ordinary user without XDG_RUNTIME_DIR
   */
  static async open(
    id: string,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Container> {
    checkCall('abortable', options);
    return new Container(await openDetached(id, options.signal));
  }

  /**
   * The detached containers of this user that run, or with `all` also those that have ended; the
   * oldest first.
   * @throws PermissionError `ERR_NO_RUNTIME_DIR`
   * @throws ContainerError `ERR_LAUNCH_FAILED` without a free descriptor (EMFILE)
   */
  static async list(options: ListOptions = {}): Promise<ContainerSummary[]> {
    checkCall('list', options);
    return listDetached(options);
  }

  /**
   * `(await Container.open(id)).remove(options)`, which with `force` also works where its state is
   * damaged and its monitor is gone.
   * @throws as `open` and `remove`
   */
  static async remove(id: string, options: RemoveOptions = {}): Promise<void> {
    checkCall('remove', options);
    let container: Container;
    try {
      container = await Container.open(id);
    } catch (error) {
      const damaged = error instanceof StateError && error.code === 'ERR_CONTAINER_STATE';
      if (!damaged || options.force !== true) throw error;
      return removeDamaged(id);
    }
    try {
      await container.remove(options);
    } finally {
      await container[Symbol.asyncDispose]();
    }
  }

  /** It survives this process. */
  get detached(): boolean {
    return this.#detachment !== undefined;
  }

  /** `'created'` until `start`, then `'running'` or `'paused'`, in the end `'stopped'`. */
  get state(): ContainerState {
    return this.#life.state;
  }

  /** Host pid of its first process; undefined once it has ended. */
  get pid(): number | undefined {
    return this.#life.pid;
  }

  /** Which walls stand; undefined until it has been started. */
  get isolation(): Isolation | undefined {
    return (this.#life.launched ?? this.#detachment?.state)?.isolation;
  }

  /**
   * Runs one program in it and waits for its end, as `run` does with a container of its own. What the
   * program leaves running goes on, as in docker; what that prints is read for 1 s more, and `truncated`
   * says when it had not closed the streams by then.
   * @param file looked up in the container's PATH when it has no `/`; never a shell line
   * @throws StateError `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_PAUSED`
   * @throws InvalidSpecError, NotFoundError, UnsupportedError, PermissionError as `run`
   * @throws AbortError (`ABORT_ERR`) after `signal`; ExitError with `reject`
   * @throws ContainerError `ERR_START_TIMEOUT` where it could not even be set up within its `timeout`
   */
  exec(
    file: string,
    args: readonly string[] | undefined,
    options: ExecOptions & { encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>;
  exec(
    file: string,
    args?: readonly string[],
    options?: Omit<ExecOptions, 'encoding'> & { encoding?: BufferEncoding | undefined },
  ): Promise<RunResult>;
  exec(
    file: string,
    args?: readonly string[],
    options?: ExecOptions,
  ): Promise<RunResult<string | Buffer>>;
  async exec(
    file: string,
    args: readonly string[] = [],
    options: ExecOptions = {},
  ): Promise<RunResult<string | Buffer>> {
    return this.#programs.exec(file, args, options);
  }

  /**
   * `exec` of a script by the container's /bin/sh. The script is one argument: put nothing into it
   * that comes from elsewhere.
   * @throws as `exec`
   */
  shell(
    script: string,
    options?: Omit<ExecOptions, 'encoding'> & { encoding?: BufferEncoding | undefined },
  ): Promise<RunResult> {
    return this.exec('/bin/sh', ['-c', script], options);
  }

  /**
   * Starts a program and returns at once: child_process's `spawn`. What goes wrong on the way is an
   * `'error'` event. Where nothing else is given, arguments may be left out, as there.
   * @throws StateError, InvalidSpecError: what is wrong already now
   */
  spawn(file: string, args?: readonly string[] | null, options?: PipedOptions): PipedProcess;
  spawn(file: string, options: PipedOptions): PipedProcess;
  spawn(file: string, args?: readonly string[] | null, options?: SpawnOptions): ContainerProcess;
  spawn(file: string, options: SpawnOptions): ContainerProcess;
  spawn(
    file: string,
    argsOrOptions?: readonly string[] | null | SpawnOptions,
    lastOptions?: SpawnOptions,
  ): ContainerProcess {
    const { args, options } = spawnCall(argsOrOptions, lastOptions);
    return this.#programs.spawn(file, args, options);
  }

  /**
   * Lets the command of a container that was created with `start: false` go: OCI's `start`.
   * @throws StateError `ERR_CONTAINER_STARTED` when it has been started before
   * @throws NotFoundError `ERR_PROGRAM_NOT_FOUND`, …: the launch errors of its last steps
   */
  start(): Promise<void> {
    return this.#life.start();
  }

  /**
   * Sends a signal: to the command; without one, our init hands it to every process, and SIGTERM
   * ends the container once they are gone. `SIGKILL`, the default, ends everything at once, also
   * while it is paused.
   * @returns false when it has ended
   * @throws ContainerGoneError `ERR_DISCONNECTED` when a detached one was let go of
   */
  kill(signal: NodeJS.Signals | number = 'SIGKILL'): boolean {
    return this.#life.kill(signalNumber(signal));
  }

  /**
   * Asks it to end, and ends it when it does not.
   * @param options.signal first signal; default `'SIGTERM'`
   * @param options.timeout ms until SIGKILL for everything; default 10,000
   * @throws InvalidSpecError; as `wait`
   */
  async stop(
    options: { signal?: NodeJS.Signals | number | undefined; timeout?: number | undefined } = {},
  ): Promise<ContainerExit> {
    checkCall('stop', options);
    const { signal = 'SIGTERM', timeout = defaultStopTimeout } = options;
    // Nothing hears a signal before its start.
    this.kill(this.state === 'created' ? 'SIGKILL' : signal);
    const late = setTimeout(() => {
      // Of one that was let go of meanwhile `wait` says so.
      if (this.#detachment?.disconnected !== true) this.kill();
    }, timeout);
    try {
      return await this.wait();
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * Resolves when it has ended; at once when it has already.
   * @param options.signal gives up waiting; the container is not touched
   * @throws InvalidSpecError; AbortError (`ABORT_ERR`)
   * @throws ContainerGoneError `ERR_LAUNCHER_GONE` when the launcher has ended, and the container
   * with it; `ERR_DISCONNECTED` when a detached one is let go of
   */
  async wait(options: { signal?: AbortSignal | undefined } = {}): Promise<ContainerExit> {
    checkCall('abortable', options);
    return this.#life.wait(options);
  }

  /** What makes it detached. */
  #detachedOnly(what: string): Detachment {
    if (this.#detachment !== undefined) return this.#detachment;
    const message = `container ${this.id} is not detached: ${what}`;
    throw new StateError('ERR_NOT_DETACHED', message, {
      hint: 'create it with `detached: true`',
    });
  }

  /**
   * What the command of a detached container has printed and is still kept (`logs` of its creation),
   * and with `follow` what it prints until it ends. Empty without a `command`.
   * @throws StateError `ERR_NOT_DETACHED`; InvalidSpecError; AbortError (`ABORT_ERR`)
   */
  logs(options: LogOptions = {}): AsyncGenerator<LogEntry, void, undefined> {
    checkCall('logs', options);
    return this.#detachedOnly('its output is at `main`').logs(options);
  }

  /**
   * Takes hold of the streams of a detached container's command.
   * @throws StateError `ERR_NOT_DETACHED`, `ERR_CONTAINER_NOT_RUNNING`, `ERR_NO_STDIN`
   */
  async attach(options: AttachOptions = {}): Promise<Attachment> {
    checkCall('attach', options);
    return this.#detachedOnly('its streams are at `main`').attach(options);
  }

  /**
   * Removes what is kept of a detached container that has ended: exit, log and state.
   * @param options.force ends it first, with SIGKILL
   * @throws StateError `ERR_CONTAINER_RUNNING` while it runs; `ERR_CONTAINER_BUSY` when something of
   * it cannot be removed
   */
  async remove(options: RemoveOptions = {}): Promise<void> {
    checkCall('remove', options);
    const { force = false } = options;
    const detachment = this.#detachedOnly('it is gone when it has ended');
    if (this.state !== 'stopped') {
      if (!force) {
        throw new StateError('ERR_CONTAINER_RUNNING', `container ${this.id} runs`, {
          phase: 'teardown',
          hint: 'stop it first, or say `force: true`',
        });
      }
      this.kill();
      await this.wait();
    }
    await detachment.remove();
  }

  /**
   * Stops every process where it is, by the cgroup freezer; resolves when all have stopped. New
   * programs cannot be started meanwhile, `kill` works. Without effect when it is paused already.
   * @throws UnsupportedError `ERR_CGROUP_UNAVAILABLE` where no cgroup can be frozen
   * @throws StateError `ERR_CONTAINER_NOT_RUNNING`; AbortError after `signal`: it runs on
   */
  async pause(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkCall('abortable', options);
    return this.#life.pause(options);
  }

  /**
   * Lets a paused container run on. Without effect when it runs.
   * @throws as `pause`
   */
  async resume(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkCall('abortable', options);
    return this.#life.resume(options);
  }

  /**
   * Gives it other limits while it runs or is paused. What is not named stays as it is. A memory
   * limit below what is in use: v1 refuses it (`ERR_LIMIT_BUSY`), v2 reclaims, and kills if need be.
   * When one of them cannot be set, none is.
   * @throws InvalidSpecError; UnsupportedError `ERR_CGROUP_UNAVAILABLE`
   * @throws StateError `ERR_LIMIT_BUSY`, `ERR_LIMIT_REFUSED`, `ERR_CONTAINER_NOT_RUNNING`
   */
  update(options: { limits: LimitsUpdate }): Promise<void> {
    return this.#life.update(options);
  }

  /**
   * What it uses, at once and then at every interval, until it ends: `for await (const s of …)`.
   * @param options.interval ms; default 1000
   * @throws StateError `ERR_CONTAINER_NOT_RUNNING` before it has been started
   * @throws AbortError after `signal`
   */
  stats(
    options: { interval?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<ContainerStats, void, undefined> {
    checkCall('stats', options);
    const { interval = 1000, signal } = options;
    this.#life.notBefore();
    const ended = this.#life.exit;
    return sample(() => this.#life.stats(), { interval, ended, signal });
  }

  /**
   * What happens to it from now on, as an async iterable that ends after `died`. A reader that is
   * more than 1024 events late finds a `lost` in place of the oldest.
   * What other processes do to a detached one (`exec`, `spawn`, `update`, `pause`, `resume`) is not
   * seen.
   * @throws AbortError after `signal`
   */
  events(
    options: { signal?: AbortSignal | undefined } = {},
  ): AsyncIterableIterator<ContainerEvent> & AsyncDisposable {
    checkCall('abortable', options);
    return this.#events.listen(options.signal);
  }

  /**
   * Its files, through an agent of ours that does the calls inside, as its root: nothing that a guest
   * plants leads out. While it is paused, calls are refused with `ERR_CONTAINER_PAUSED`; those that
   * are under way then wait.
   */
  get fs(): FileSystem {
    this.#fs ??= new FileSystem(this.#agent);
    return this.#fs;
  }

  /**
   * Copies a file or tree of the host into it, as `docker cp`.
   * @throws SyscallError as node:fs; StateError; ContainerGoneError; AbortError
   */
  copyIn(source: string, destination: GuestPath, options?: CopyOptions): Promise<CopyResult> {
    return copyIn(this.#agent, source, destination, options);
  }

  /**
   * Copies a file or tree out of it, as `docker cp`. Nothing that a guest plants is followed. Times
   * are kept to the microsecond (what `fs.utimes` takes).
   * @throws as `copyIn`
   */
  copyOut(source: GuestPath, destination: string, options?: CopyOptions): Promise<CopyResult> {
    return copyOut(this.#agent, source, destination, options);
  }

  get #layered(): Layered {
    return {
      container: this,
      origin: this.#origin,
      layerOptions: this.#layerOptions,
      atRest: (body, signal) => this.#life.atRest(body, signal),
    };
  }

  /**
   * Copies what it has changed in its root to a new directory. It is paused meanwhile (`pause`,
   * `resume`, `update` wait), and runs on afterwards whatever comes of it. Memory, processes and what is
   * mounted (/tmp, volumes) are not part of it, nor writes of this process through `box.fs` that are
   * still under way.
   * Needs `rootfs: { lower, upper, work }`.
   * @throws StateError `ERR_NO_LAYER`, `ERR_CONTAINER_REPLACED`, `ERR_CONTAINER_NOT_RUNNING` before
   * its start; UnsupportedError `ERR_CGROUP_UNAVAILABLE` where it cannot be paused: stop it first
   * @throws SyscallError EEXIST, ENOSPC, …; InvalidSpecError `ERR_INVALID_OPTION` for a path inside
   * one of its layers; AbortError. Nothing is left then
   */
  snapshot(options: SnapshotOptions): Promise<Snapshot> {
    return snapshot(this.#layered, options);
  }

  /**
   * A new container, as this one was created, on a copy of what this one has changed in its root.
   * Neither sees what the other changes from then on. Memory and processes are not part of it.
   * @throws as `snapshot` and `createContainer`; StateError `ERR_CONTAINER_DETACHED`
   */
  fork(options: ForkOptions): Promise<Container> {
    return fork(this.#layered, options);
  }

  /**
   * Puts a snapshot in the place of what it has changed: ends it with everything in it, and creates
   * it anew with the same id and options. Only its files are as they were then: memory and processes
   * are gone. This object stays stopped; use the one that is returned. Whenever it is interrupted,
   * its layer is the old or the new one; after a kill -9 of Node, or where it cannot be removed, the
   * other lies beside it, as `.<name of upper>.ringfort-rollback`, until the next rollback, which is
   * refused as long as it cannot be removed. The snapshot stays as it is.
   * @throws StateError `ERR_NO_LAYER`, `ERR_CONTAINER_REPLACED`, `ERR_CONTAINER_DETACHED`
   * @throws InvalidSpecError `ERR_INVALID_OPTION` for a snapshot of other layers
   * @throws SyscallError ENOSPC, …; AbortError: it runs on; as `createContainer`
   */
  rollback(snapshot: Snapshot, options?: { signal?: AbortSignal | undefined }): Promise<Container> {
    return rollback(this.#layered, snapshot, options);
  }

  /**
   * What it has changed in its root, compared with the layers below, by name within each directory.
   * A file that has been written to, or changed in any other way, is `modified` even when it reads
   * the same; a directory is when its own owner, mode or extended attributes differ. What was in a
   * deleted directory, or in one that something else has replaced, is not named. While it runs the
   * listing may hold changes of different moments: `pause` it for one of a single moment.
   * @throws StateError `ERR_NO_LAYER`, `ERR_CONTAINER_REPLACED`; AbortError after `signal`
   * @throws SyscallError ESTALE when a directory that is being listed is moved meanwhile
   */
  diff(options?: { signal?: AbortSignal | undefined }): AsyncGenerator<Change, void, undefined> {
    return diff(this.#layered, options);
  }

  /** Its processes, as the host sees them. */
  async top(): Promise<ProcessInfo[]> {
    const { launched } = this.#life;
    return launched === undefined ? [] : processesIn(launched.cgroup.paths);
  }

  /** Everything that is known of it, as plain data. */
  inspect(): ContainerInfo {
    const { id, state, pid, createdAt, labels, spec, isolation } = this;
    return {
      id,
      state,
      pid,
      createdAt,
      labels,
      annotations: { ...spec.annotations },
      command: this.main?.spawnargs ?? this.#detachment?.state.command,
      programs: this.#programs.list(),
      cgroup: this.#life.launched?.cgroup.paths,
      isolation,
      spec,
      exit: this.#life.ended,
    };
  }

  /** Keeps this process's event loop alive, as it does at first. */
  ref(): void {
    this.#life.hold(true);
  }

  /** Lets this process end although the container runs, which ends it unless it is detached. */
  unref(): void {
    this.#life.hold(false);
  }

  /**
   * Ends it, and resolves when nothing of it is left; of a detached one only lets go. A second time
   * it does nothing.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#detachment !== undefined) return this.#detachment.disconnect();
    await this.#life.end();
  }
}
