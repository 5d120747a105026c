import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { abortError } from '../abort.js';
import type { Usage } from '../cgroups/index.js';
import { reasonOf, type Started } from '../complete.js';
import type { Trace } from '../diagnostics.js';
import { Ending } from '../ending.js';
import type { ContainerError } from '../errors.js';
import type { Ended } from '../follow.js';
import { leavable } from '../leavable.js';
import { type ExitReason, signalNumber } from '../result.js';
import { optionsPlace } from '../spec/rules/place.js';
import { pty as ptySize } from '../spec/rules/runOptions.js';
import { type GiveUpCause, StartLimit } from '../startLimit.js';
import { isHandedOn, type Stdio } from '../stdio.js';
import { asNodeSays } from './nodeError.js';
import { interleave, type OutputChunk } from './output.js';
import type { PlainSpawnOptions } from './spawnCall.js';

/** Of a terminal, in characters. */
type TerminalSize = NonNullable<PlainSpawnOptions['pty']>;

/** What a `ContainerProcess` is made from. */
export interface ProcessStart {
  file: string;
  args: readonly string[];
  options: PlainSpawnOptions;
  stdio: Stdio;
  /** Its limit of CPU time, ms. */
  cpuTime?: number | undefined;
  /** Told of its start and end. */
  trace?: Trace;
  /**
   * Starts it; rejects when it cannot be started.
   * @param size of its terminal, where that was changed meanwhile
   */
  start(signal: AbortSignal, size: TerminalSize | undefined): Promise<Started>;
}

/** The events of a `ContainerProcess`, as those of Node's ChildProcess. */
export interface ProcessEvents {
  /** It runs. */
  spawn: [];
  /** It could not be started, or was aborted. */
  error: [error: Error];
  /** It has ended; its streams may still hold something. */
  exit: [code: number | null, signal: NodeJS.Signals | null];
  /** It has ended, and its streams too. */
  close: [code: number | null, signal: NodeJS.Signals | null];
}

const sizePlace = optionsPlace.key('size');

/**
 * A program in a container, with the face of Node's ChildProcess: code that takes one of those takes
 * one of these. Differences: `pid` (the host's number) is known only from `'spawn'` on; there is no
 * IPC channel; an error of `stdin` is thrown only where somebody listens; and `killTree` reaches what
 * the program has started.
 */
export class ContainerProcess
  extends EventEmitter<ProcessEvents>
  implements Disposable, AsyncDisposable
{
  /** The program, and argv as it was given. */
  readonly spawnfile: string;
  readonly spawnargs: string[];
  /** `null` where it is not piped. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** The three together. Their type is Node's, which speaks of five. */
  readonly stdio: ChildProcess['stdio'];
  /** Host pid, from `'spawn'` on. */
  pid: number | undefined;
  /** Set at its end; `null` before, and where a signal ended it. */
  exitCode: number | null = null;
  /** The signal that ended it. */
  signalCode: NodeJS.Signals | null = null;
  /** A signal has been sent by `kill`. */
  killed = false;
  /** There is no IPC channel. */
  readonly connected = false;
  /** Undefined without an IPC channel, whatever the type says; as in Node. */
  declare readonly send: ChildProcess['send'];
  /** Undefined, as `send`. */
  declare readonly disconnect: ChildProcess['disconnect'];
  /** What ended it, from `'exit'` on. */
  reason: ExitReason | undefined;
  /** What it used, from `'exit'` on. */
  usage: Usage | undefined;

  readonly #stdio: Stdio;
  readonly #options: PlainSpawnOptions;
  readonly #trace: Trace | undefined;
  readonly #since = performance.now();
  readonly #limit: StartLimit;
  #started: Started | undefined;
  #ending: Ending | undefined;
  /** Of the terminal, where it was changed before it runs. */
  #earlySize: TerminalSize | undefined;
  /** Signals sent before it runs; `'tree'` is everything's end. */
  readonly #early: (number | 'tree')[] = [];
  #done = false;
  #held = true;
  #abortTold = false;
  /** Why it could not be started, was aborted or was lost: for whoever iterates. */
  #error: Error | undefined;
  #heard = false;
  readonly #closed: Promise<void>;

  /** @internal */
  constructor({ file, args, options, stdio, cpuTime, trace, start }: ProcessStart) {
    super();
    this.spawnfile = file;
    this.spawnargs = [file, ...args];
    this.#stdio = stdio;
    this.#options = options;
    this.#limit = new StartLimit(options, this.#since);
    this.#trace = trace;
    this.stdin = stdio.stdin ?? null;
    this.stdout = stdio.stdout ?? null;
    this.stderr = stdio.stderr ?? null;
    this.stdio = [this.stdin, this.stdout, this.stderr] as unknown as ChildProcess['stdio'];
    // What a guest does not read is its own affair, until somebody listens.
    this.stdin?.on('error', () => {});
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#closed = this.#live(start, cpuTime);
  }

  async #live(start: ProcessStart['start'], cpuTime: number | undefined): Promise<void> {
    const streams = [this.stdout, this.stderr].map(closedStream);
    try {
      // For a `resize` that follows the call: what is set up has the size from its first look on.
      if (this.#options.pty !== undefined) await undefined;
      const started = await start(this.#limit.signal, this.#earlySize);
      this.#limit.done();
      this.#begin(started, cpuTime);
      this.#ended(await started.ended);
    } catch (error) {
      this.#trace?.failed(error);
      this.#limit.done();
      if (this.#limit.cause !== undefined) this.#givenUp(this.#limit.cause);
      else if (this.#started === undefined)
        this.#failed(asNodeSays(error, this.spawnfile, this.spawnargs.slice(1)));
      else this.#lost(error as Error);
    }
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    await Promise.all(streams);
    await this.#stdio.drained;
    this.#stdio.destroy();
    this.#tell(() => this.emit('close', this.exitCode, this.signalCode));
  }

  /** On its own, so that a listener that throws is an uncaught exception, and stops nothing here. */
  #tell(emit: () => void): void {
    process.nextTick(emit);
  }

  #begin(started: Started, cpuTime: number | undefined): void {
    this.#started = started;
    this.pid = started.pid;
    this.#trace?.started(started.pid);
    if (!this.#held) started.hold(false);
    this.#tell(() => this.emit('spawn'));
    this.#stdio.flow();
    if (this.#earlySize !== undefined) this.resize(this.#earlySize);
    this.#ending = new Ending(started, this.#options, this.#since);
    this.#tellAborted();
    if (cpuTime !== undefined) this.#ending.watchCpuTime(cpuTime);
    for (const signal of this.#early.splice(0))
      signal === 'tree' ? started.kill() : started.signal(signal);
  }

  #tellError(error: Error): void {
    this.#error ??= error;
    this.#tell(() => this.emit('error', error));
  }

  /** Somebody hears of an error in another way than by 'error', which need not end this process then. */
  #hear(): void {
    if (!this.#heard) this.on('error', () => {});
    this.#heard = true;
  }

  /** Of a signal that was aborted before there was anything to listen to: after 'spawn', as Node does. */
  #tellAborted(): void {
    const { signal } = this.#options;
    if (signal?.aborted !== true || this.#abortTold) return;
    this.#abortTold = true;
    this.killed = true;
    this.#tellError(abortError(signal));
  }

  /** Says so at once, as Node does; the program is ended by `#ending`. */
  readonly #onAbort = () => {
    const { signal } = this.#options;
    if (signal === undefined || this.#abortTold || this.#done) return;
    this.#abortTold = true;
    this.killed = true;
    this.#error ??= abortError(signal);
    this.emit('error', this.#error);
  };

  #ended(ended: Ended): void {
    this.#done = true;
    this.#ending?.done();
    this.exitCode = ended.exitCode;
    this.signalCode = ended.signal;
    this.reason = reasonOf(ended, this.#ending?.cause);
    this.usage = ended.usage;
    this.#trace?.exited({ ...ended, reason: this.reason });
    this.stdin?.destroy();
    this.#tell(() => this.emit('exit', this.exitCode, this.signalCode));
    this.#tell(() => this.#flush());
  }

  /** As Node does it: what nobody reads must not hold back 'close'. */
  #flush(): void {
    for (const stream of [this.stdout, this.stderr]) {
      if (stream?.readable !== true) continue;
      // Another program reads it, and must not lose a byte of it to us.
      if (isHandedOn(stream)) stream.destroy();
      else stream.resume();
    }
  }

  /** Its launcher has died, or was let go of, and it with that: killed, and nobody saw its end. */
  #lost(error: Error): void {
    this.#done = true;
    this.#ending?.done();
    this.signalCode = 'SIGKILL';
    this.reason = 'lost';
    const wanted = (error as ContainerError).code === 'ERR_DISCONNECTED';
    if (!wanted && this.listenerCount('error') > 0) this.#tellError(error);
    this.#stdio.destroy();
    this.#tell(() => this.emit('exit', null, this.signalCode));
  }

  /** It was killed on its way: it has never run. */
  #givenUp(cause: GiveUpCause): void {
    this.#done = true;
    this.#tellAborted();
    this.signalCode = 'SIGKILL';
    this.reason = cause;
    this.#stdio.destroy();
    this.#tell(() => this.emit('exit', null, this.signalCode));
  }

  #failed(error: Error): void {
    this.#done = true;
    this.#ending?.done();
    const { errno } = error as { errno?: unknown };
    this.exitCode = typeof errno === 'number' ? errno : -1;
    this.#tellError(error);
    // Whoever reads the streams of a program that never was finds their end, as in Node.
    if (this.#options.pty !== undefined) this.#stdio.destroy();
    else this.#stdio.sent();
    this.#stdio.flow();
    this.stdin?.destroy();
    this.#tell(() => this.#flush());
  }

  /**
   * Sends a signal to the program alone. `0` asks whether it is there.
   * @returns false when it has ended
   * @throws InvalidSpecError `ERR_UNKNOWN_SIGNAL`
   */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    const number = signalNumber(signal);
    if (this.#done) return false;
    if (number === 0) return true;
    if (this.#started === undefined) {
      this.#early.push(number);
      if (number === signalNumber('SIGKILL')) this.#limit.soon();
    } else this.#started.signal(number);
    this.killed = true;
    return true;
  }

  /**
   * Ends the program and everything that it has started, at once (SIGKILL): by `cgroup.kill` of its
   * cgroup, so that no fork gets away; without cgroup v2 all that is found in its cgroup, and without
   * any cgroup the program alone.
   * @returns false when the program has ended; what it has left behind is ended all the same
   */
  killTree(): boolean {
    if (this.#started !== undefined) this.#started.kill();
    else if (this.#done) return false;
    else {
      this.#early.push('tree');
      this.#limit.soon();
    }
    this.killed = true;
    return !this.#done;
  }

  /** Keeps this process's event loop alive, as it does at first. */
  ref(): void {
    this.#held = true;
    this.#started?.hold(true);
  }

  /** Lets this process end although the program runs. Pipes that are being read keep it alive. */
  unref(): void {
    this.#held = false;
    this.#started?.hold(false);
  }

  /**
   * The terminal's size, in characters; its foreground processes get SIGWINCH. In the same turn as
   * `spawn` it is the one that the program starts with; later, but before `'spawn'`, it may also come
   * just after the start.
   * @returns false without a terminal and once it is closed
   * @throws InvalidSpecError for anything but 1 to 65,535
   */
  resize(size: TerminalSize): boolean {
    ptySize(size, sizePlace);
    if (this.#started === undefined && this.#options.pty !== undefined && !this.#done) {
      this.#earlySize = { ...size };
      return true;
    }
    return this.#stdio.resize?.(size) ?? false;
  }

  /** Calls back with what the program prints, as text. What keeps it from starting is an end (`onExit`). */
  onData(listener: (data: string) => void): { dispose(): void } {
    this.#hear();
    const { stdout } = this;
    const decode = new TextDecoder();
    const take = (chunk: Buffer) => listener(decode.decode(chunk, { stream: true }));
    stdout?.on('data', take);
    return { dispose: () => stdout?.off('data', take) };
  }

  /** Calls back once the program has ended and all that it printed has been handed out. */
  onExit(listener: (end: { exitCode: number; signal?: number }) => void): { dispose(): void } {
    this.#hear();
    const take = (code: number | null, signal: NodeJS.Signals | null) =>
      listener({
        exitCode: code ?? 0,
        ...(signal !== null && { signal: signalNumber(signal) }),
      });
    this.on('close', take);
    return { dispose: () => this.off('close', take) };
  }

  /** Types into the terminal, or writes to stdin. @returns false when it is best to wait for 'drain' */
  write(data: string | Uint8Array): boolean {
    return this.stdin?.write(data) ?? false;
  }

  /**
   * Both outputs as they come; ends with the program's streams.
   * @throws what `'error'` would say, at the end of the streams: it could not be started, was aborted
   */
  [Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void, undefined> {
    this.#hear();
    return leavable(undefined, (left) => this.#output(left));
  }

  async *#output(left: AbortSignal): AsyncGenerator<OutputChunk, void, undefined> {
    try {
      yield* interleave({ stdout: this.stdout, stderr: this.stderr }, left);
    } catch (error) {
      throw this.#error ?? error;
    }
    // A terminal ends before we hear that what it was for did not start.
    if (this.#started === undefined && !this.#done)
      await Promise.race([
        new Promise<void>((resolve) => this.once('spawn', resolve)),
        this.#closed,
      ]);
    if (this.#error !== undefined) throw this.#error;
  }

  /** `kill()`, as Node's. */
  [Symbol.dispose](): void {
    if (!this.killed) this.kill();
  }

  /** Ends everything of it, and waits until it has. That it could not be started is no error then. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hear();
    this.killTree();
    for (const stream of [this.stdout, this.stderr]) stream?.resume();
    await this.#closed;
  }
}

/** Resolves when a stream is closed; at once where there is none. */
function closedStream(stream: Readable | null): Promise<void> {
  if (stream === null) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', resolve);
  });
}
