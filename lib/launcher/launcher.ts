import { ContainerError, ContainerGoneError } from '../errors.js';
import type { Channel } from '../native/binding.js';
import { launcherPath, loadBinding } from '../native/load.js';
import { close } from '../sys/files.js';
import { decodeReport, type Report, reportType, request } from './messages.js';
import { isGone } from './processEnd.js';

/** What a launch hears of its container; each at most once unless said otherwise. */
export interface LaunchEvents {
  /** The plan has left: descriptors that travelled with it may be closed. */
  sent(): void;
  /** The process has been set up as far as its `hold` step. */
  created?(report: Report): void;
  /** The program has been executed. The descriptor is the caller's to close. */
  running(report: Report, pidfd: number): void;
  /** The launch did not happen; everything has been undone. */
  failed(report: Report): void;
  /** When each step was done, for a plan that asked for it; just before `gone`. */
  trace?(report: Report): void;
  /** The container has ended. */
  exited(report: Report): void;
  /** Nothing is left; with `left` > 0 (perhaps more than once): something resists and is retried. */
  gone(report: Report): void;
  /** The master side of the program's terminal, the caller's to close. */
  pty(fd: number): void;
  /** The launcher is gone and the container with it, or the plan could not be sent. */
  lost(error: ContainerError): void;
}

/** What a request that is answered at once has brought. */
export interface Answer {
  /** 0 when it has been carried out. */
  errno: number;
  pid: number;
  /** A descriptor that came with it, the caller's to close. */
  fd: number | undefined;
}

/** Who waits for an answer. */
interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

interface Queued {
  type: number;
  id: number;
  arg: number;
  plan?: Uint8Array;
  fds?: readonly number[];
  events?: Pick<LaunchEvents, 'sent' | 'lost'>;
  asked?: Asked;
}

/** How the launcher is set up once it runs; ordinary users need ids mapped meanwhile. */
export interface LauncherSetup {
  /** Maps the ids of the launcher's own user namespace; absent for a privileged launcher. */
  mapIds?: (pid: number) => Promise<void>;
  /** Descriptor of the id lock, kept open by the launcher until its containers are gone. */
  lockFd: number;
  /** Descriptor of its journal; the launcher gets a copy. Default: none. */
  journalFd?: number;
  /** The launcher is gone, or has been told to go. */
  ended?: () => void;
}

/** What the addon threw, such as EMFILE; an addon that does not load says so itself. */
function notStarted(cause: unknown): ContainerError {
  if (cause instanceof ContainerError) return cause;
  const { errno, syscall, message } = cause as NodeJS.ErrnoException;
  return new ContainerError('ERR_LAUNCH_FAILED', `the launcher cannot be started: ${message}`, {
    phase: 'launcher',
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    cause,
  });
}

function launcherGone(cause: unknown): ContainerGoneError {
  const facts = { phase: 'launcher', cause } as const;
  return new ContainerGoneError('ERR_LAUNCHER_GONE', 'the launcher process has ended', facts);
}

/** Why a message has not left: a launcher that was killed this moment, or our own descriptors. */
function notSent(what: string, cause: unknown): ContainerError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ECONNRESET') return launcherGone(cause);
  const message = `${what} could not be sent`;
  return new ContainerError('ERR_LAUNCH_FAILED', message, { phase: 'launcher', cause });
}

/** A launcher process and the containers it holds. One for each Node environment. */
export class LauncherClient {
  readonly #channel: Channel;
  readonly #launches = new Map<number, LaunchEvents>();
  /** In the order of their answers. */
  readonly #asked: Asked[] = [];
  /** Launches that have neither failed nor ended. */
  readonly #working = new Set<number>();
  readonly #queue: Queued[] = [];
  readonly #ended: LauncherSetup['ended'];
  #nextId = 1;
  #outlives = false;
  #gone: ContainerGoneError | undefined;
  /** It is dying: what it has reported may still be read, but it takes nothing more. */
  #unreachable: ContainerGoneError | undefined;

  private constructor(
    launcher: string | number,
    { lockFd, journalFd = -1, ended }: Omit<LauncherSetup, 'mapIds'>,
  ) {
    const { Channel } = loadBinding();
    this.#ended = ended;
    this.#channel = new Channel(
      launcher,
      lockFd,
      journalFd,
      (message, fds) => this.#onMessage(message, fds),
      () => this.#flush(),
      () => this.#onExit(),
    );
  }

  /**
   * Starts a launcher and sets it up.
   * @returns the client, or the request that failed and its errno
   */
  static async start(
    setup: LauncherSetup,
  ): Promise<LauncherClient | { failed: keyof typeof request; errno: number }> {
    const client = LauncherClient.#spawn(setup);
    if (setup.mapIds !== undefined) {
      const errno = await client.#setUp(request.unshareUser);
      if (errno !== 0) return client.#abandon('unshareUser', errno);
      try {
        await setup.mapIds(client.pid);
      } catch (error) {
        client.close();
        // The ids of a process that is gone cannot be mapped, for whatever reason is given.
        throw isGone(client.pid) ? launcherGone(error) : error;
      }
    }
    const errno = await client.#setUp(request.makeHome);
    if (errno !== 0) return client.#abandon('makeHome', errno);
    return client;
  }

  static #spawn(setup: LauncherSetup): LauncherClient {
    try {
      return new LauncherClient('', setup);
    } catch (error) {
      // vm.memfd_noexec=2 and some LSMs forbid to execute a memfd; the installed twin may do.
      const { code } = error as NodeJS.ErrnoException;
      const path = launcherPath();
      if ((code !== 'EACCES' && code !== 'EPERM') || path === undefined) throw notStarted(error);
    }
    try {
      return new LauncherClient(launcherPath() ?? '', setup);
    } catch (error) {
      throw notStarted(error);
    }
  }

  /**
   * A client of a launcher that runs already, as a detached container's monitor does.
   * @param socket connected to it (SOCK_SEQPACKET, non-blocking); belongs to the client from now on
   */
  static connect(socket: number): LauncherClient {
    const client = new LauncherClient(socket, { lockFd: -1 });
    client.#outlives = true;
    return client;
  }

  /** Process id of the launcher; −1 of one that was connected to. */
  get pid(): number {
    return this.#channel.pid;
  }

  /** Why the launcher takes no more launches, once it does not. */
  get gone(): ContainerGoneError | undefined {
    return this.#gone ?? this.#unreachable;
  }

  /** Containers that are not completely gone yet. */
  get live(): number {
    return this.#launches.size;
  }

  /**
   * Carries out a plan. Its descriptors must stay open until `sent`.
   * @param detaches a detach is to come: until then nothing is said of its end
   */
  launch(plan: Uint8Array, fds: readonly number[], events: LaunchEvents, detaches = false): number {
    return this.#start({ type: request.launch, arg: detaches ? 1 : 0, plan, fds, events });
  }

  /** Carries out the plan of one more program in a container that runs. */
  exec(container: number, plan: Uint8Array, fds: readonly number[], events: LaunchEvents): number {
    return this.#start({ type: request.exec, arg: container, plan, fds, events });
  }

  /** Gives a parked program the rest of its plan. Its descriptors must stay open until `sent`. */
  unpark(
    id: number,
    plan: Uint8Array,
    fds: readonly number[],
    events: Pick<LaunchEvents, 'sent' | 'lost'>,
  ): void {
    if (this.gone !== undefined) throw this.gone;
    this.hold(id, true);
    this.#post({ type: request.release, id, arg: 0, plan, fds, events });
  }

  #start(message: Omit<Queued, 'id'> & { events: LaunchEvents }): number {
    if (this.gone !== undefined) throw this.gone;
    const id = this.#nextId++;
    this.#launches.set(id, message.events);
    this.#working.add(id);
    this.#channel.ref();
    this.#post({ ...message, id });
    return id;
  }

  /** Hears of a container that was launched by another client; it does not hold the event loop. */
  adopt(id: number, events: LaunchEvents): void {
    this.#launches.set(id, events);
    this.#nextId = Math.max(this.#nextId, id + 1);
  }

  /**
   * Asks something that is answered at once; the event loop is kept alive meanwhile.
   * @throws ContainerGoneError when the launcher is gone, or goes before it has answered
   * @throws ContainerError `ERR_LAUNCH_FAILED` when it could not be sent
   */
  ask(
    type: number,
    id: number,
    arg = 0,
    message: { body?: Uint8Array; fds?: readonly number[] } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) throw this.#gone;
      const asked = { resolve, reject };
      this.#asked.push(asked);
      this.#channel.ref();
      const { body: plan, fds } = message;
      this.#post({ type, id, arg, asked, ...(plan && { plan }), ...(fds && { fds }) });
    });
  }

  /** @param outlives whether it may outlive this environment, and is gone when its socket ends */
  release(outlives: boolean): void {
    this.#outlives = outlives;
    this.#channel.release(outlives);
  }

  /** Sends a signal to the container's main program. */
  signal(id: number, signal: number): void {
    this.#control(request.signal, id, signal);
  }

  /** Ends everything in the container at once. */
  kill(id: number): void {
    this.#control(request.kill, id, 0);
  }

  /** Whether something that lives is waited for, and so keeps the event loop alive. */
  hold(id: number, alive: boolean): void {
    if (!this.#launches.has(id)) return;
    if (!alive) return this.#release(id);
    this.#working.add(id);
    this.#channel.ref();
  }

  /**
   * Ends all containers and the launcher; of a detached container only what was started here.
   * @param reason what those hear that still wait for something
   */
  close(reason?: ContainerGoneError): void {
    this.#channel.close();
    this.#onExit(reason);
  }

  #control(type: number, id: number, arg: number): void {
    if (this.#gone !== undefined || !this.#launches.has(id)) return;
    this.#post({ type, id, arg });
  }

  #abandon(failed: keyof typeof request, errno: number) {
    this.close();
    return { failed, errno };
  }

  async #setUp(type: number): Promise<number> {
    return (await this.ask(type, 0)).errno;
  }

  #post(message: Queued): void {
    if (this.#queue.length > 0 || !this.#send(message)) {
      this.#queue.push(message);
      this.#channel.watchWritable();
    }
  }

  /** @returns false when there is no room just now. */
  #send({ type, id, arg, plan, fds = [], events, asked }: Queued): boolean {
    try {
      if (!this.#channel.send(type, id, arg, plan, fds)) return false;
    } catch (cause) {
      // A descriptor that was closed meanwhile, or none left for a large plan. Where nobody
      // waits, the socket itself is broken, and #onExit says so.
      if (asked !== undefined) this.#unask(asked, notSent('a request', cause));
      if (events === undefined) return true;
      // It would wait for ever.
      if (type === request.release) this.kill(id);
      this.#forget(id);
      const error = notSent('the plan', cause);
      if (error instanceof ContainerGoneError) this.#unreachable = error;
      events.lost(error);
      return true;
    }
    events?.sent();
    return true;
  }

  /** It will have no answer: the next one is for the next who asked. */
  #unask(asked: Asked, error: ContainerError): void {
    // #onExit says that better.
    if (error instanceof ContainerGoneError) return;
    this.#asked.splice(this.#asked.indexOf(asked), 1);
    asked.reject(error);
    this.#release();
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      if (!this.#send(this.#queue[0] as Queued)) {
        this.#channel.watchWritable();
        return;
      }
      this.#queue.shift();
    }
  }

  #onMessage(message: Buffer, fds: number[]): void {
    const report = decodeReport(message);
    if (report === undefined) {
      for (const fd of fds) close(fd);
      return;
    }
    if (report.type === reportType.ready) {
      this.#asked.shift()?.resolve({ errno: report.error, pid: report.pid, fd: fds[0] });
      this.#release();
      return;
    }
    const events = this.#launches.get(report.id);
    if (events === undefined) {
      for (const fd of fds) close(fd);
      return;
    }
    this.#deliver(events, report, fds);
  }

  #deliver(events: LaunchEvents, report: Report, fds: number[]): void {
    switch (report.type) {
      case reportType.created:
        return events.created?.(report);
      case reportType.running:
        return events.running(report, fds[0] ?? -1);
      case reportType.failed:
        this.#release(report.id);
        return events.failed(report);
      case reportType.exited:
        this.#release(report.id);
        return events.exited(report);
      case reportType.pty:
        return events.pty(fds[0] ?? -1);
      case reportType.trace:
        return events.trace?.(report);
      case reportType.gone:
        if (report.left === 0) this.#forget(report.id);
        return events.gone(report);
    }
  }

  #forget(id: number): void {
    this.#launches.delete(id);
    this.#release(id);
  }

  /**
   * Only what somebody waits for keeps the event loop alive: a teardown goes on without it, and at
   * the end of this environment the addon waits for the launcher.
   */
  #release(id?: number): void {
    if (id !== undefined) this.#working.delete(id);
    if (this.#working.size === 0 && this.#asked.length === 0) this.#channel.unref();
  }

  #onExit(reason?: ContainerGoneError): void {
    if (this.#gone !== undefined) return;
    const what = this.#outlives ? 'connection to the monitor' : 'launcher process';
    const facts = { phase: 'launcher' } as const;
    this.#gone =
      reason ?? new ContainerGoneError('ERR_LAUNCHER_GONE', `the ${what} has ended`, facts);
    for (const { reject } of this.#asked.splice(0)) reject(this.#gone);
    const launches = [...this.#launches.values()];
    this.#launches.clear();
    this.#queue.length = 0;
    for (const events of launches) events.lost(this.#gone);
    this.#ended?.();
  }
}
