import { closeSync, fchmodSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { invalid, orScarcity } from './errors.js';
import { handOver } from './native/kept.js';
import type { StdioChoice } from './options.js';
import { close, pipe2, setBlocking } from './sys/files.js';

/** Pipes whose program has been reported to run. */
const flowing = new WeakSet<Pipe>();

/** Our end of a pipe. A program can print before we hear that it runs; 'spawn' comes first all the same. */
class Pipe extends Socket {
  override _read(size: number): void {
    if (flowing.has(this)) super._read(size);
  }

  /** The read that the constructor has begun goes on, unless the pipe has become another program's. */
  flow(): void {
    if (flowing.has(this) || this.destroyed || isHandedOn(this)) return;
    flowing.add(this);
    if (this.readable) super._read(0);
  }
}

/** One standard stream: the guest's end as a descriptor, ours as a stream when there is one. */
interface End {
  guest: number;
  /**
   * Closes the guest's end once the plan has left; absent for a descriptor that is not ours. By
   * the side that opened it: in a worker, each keeps account of its own.
   */
  close?: ((fd: number) => void) | undefined;
  ours?: OurEnd;
}

/** Our end of a pipe: a stream from when it is first asked for, so that a plan can leave before. */
class OurEnd {
  #stream: Pipe | undefined;
  #closed = false;

  constructor(
    readonly fd: number,
    readonly writable: boolean,
  ) {}

  open(): Pipe {
    if (this.#stream !== undefined) return this.#stream;
    const { fd, writable } = this;
    this.#stream = handOver(fd, () => new Pipe({ fd, readable: !writable, writable }));
    return this.#stream;
  }

  destroy(): void {
    if (this.#stream !== undefined) this.#stream.destroy();
    else if (!this.#closed) close(this.fd);
    this.#closed = true;
  }
}

/** Streams that a program has been given as its own. */
const handedOn = new WeakSet<object>();

/** A stream becomes a program's: we stop reading it, as child_process does, lest we take what is its. */
function handOn(stream: Readable | Writable): void {
  handedOn.add(stream);
  const { _handle: handle } = stream as { _handle?: { readStop?(): void } | null };
  handle?.readStop?.();
  if ('pause' in stream) stream.pause();
}

/** Whether a stream was given to a program as one of its own: it is that program's to read. */
export function isHandedOn(stream: object): boolean {
  return handedOn.has(stream);
}

/** The three streams of a program. */
export interface Stdio {
  /** Guest ends of stdin, stdout and stderr, for the plan; none with a terminal. */
  fds: number[];
  readonly stdin?: Writable | undefined;
  readonly stdout?: Readable | undefined;
  readonly stderr?: Readable | undefined;
  /** With a terminal: takes its master side as soon as the guest has made it. */
  terminal?: (fd: number) => void;
  /** With a terminal of ours: its size. False when it is not there (yet, or any more). */
  resize?(size: { cols: number; rows: number }): boolean;
  /** With a terminal that is relayed: resolves when all that the guest printed has been. */
  drained?: Promise<void>;
  /** Begins to read what the program prints. */
  flow(): void;
  /** Closes the guest ends on our side: after this, end of file means that the guest has closed. */
  sent(): void;
  /** Closes everything, for a launch that did not happen. */
  destroy(): void;
}

function openPipe(index: number): End {
  const [read, write] = pipe2();
  const [guest, ours] = index === 0 ? [read, write] : [write, read];
  const end = new OurEnd(ours, index === 0);
  try {
    // A pipe is its maker's, whom nobody inside is: without this, /dev/stdout could not be opened.
    fchmodSync(guest, 0o666);
    return { guest, close, ours: end };
  } catch (error) {
    end.destroy();
    throw error;
  }
}

function streamFd(stream: Readable | Writable): number | undefined {
  const { fd, _handle: handle } = stream as { fd?: unknown; _handle?: { fd?: unknown } | null };
  const found = typeof fd === 'number' ? fd : handle?.fd;
  return typeof found === 'number' && found >= 0 ? found : undefined;
}

/**
 * A descriptor of ours, for the guest. Node has made its own non-blocking, which most programs take
 * for an error; child_process takes that back in the same way.
 */
function openDescriptor(fd: number, index: number): number {
  try {
    setBlocking(fd);
    return fd;
  } catch {
    throw invalid(`stdio[${index}]`, 'a descriptor that is open', fd);
  }
}

function openEnd(choice: StdioChoice, index: number): End {
  if (choice === 'pipe') return openPipe(index);
  if (choice === 'inherit') return { guest: openDescriptor(index, index) };
  if (choice === 'ignore')
    return { guest: openSync('/dev/null', index === 0 ? 'r' : 'w'), close: closeSync };
  const fd = typeof choice === 'number' ? choice : streamFd(choice);
  if (fd === undefined)
    throw invalid(`stdio[${index}]`, 'a stream with a file descriptor, or pipe it yourself');
  if (typeof choice !== 'number') handOn(choice);
  return { guest: openDescriptor(fd, index) };
}

/**
 * Opens the three streams.
 * @throws InvalidSpecError for a stream without a descriptor, or a descriptor that is closed
 */
export function openStdio(choices: readonly [StdioChoice, StdioChoice, StdioChoice]): Stdio {
  const ends: End[] = [];
  const closeGuests = () => {
    for (const end of ends) {
      end.close?.(end.guest);
      end.close = undefined;
    }
  };
  const destroy = () => {
    closeGuests();
    for (const { ours } of ends) ours?.destroy();
  };
  try {
    for (const [index, choice] of choices.entries()) ends.push(openEnd(choice, index));
  } catch (error) {
    destroy();
    throw orScarcity(error);
  }
  const [stdin, stdout, stderr] = ends as [End, End, End];
  return {
    fds: [stdin.guest, stdout.guest, stderr.guest],
    get stdin() {
      return stdin.ours?.open();
    },
    get stdout() {
      return stdout.ours?.open();
    },
    get stderr() {
      return stderr.ours?.open();
    },
    flow() {
      for (const { ours } of [stdout, stderr]) ours?.open().flow();
    },
    sent: closeGuests,
    destroy,
  };
}
