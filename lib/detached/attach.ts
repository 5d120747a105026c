import { Socket } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import { StateError } from '../errors.js';
import type { LauncherClient } from '../launcher/launcher.js';
import { request } from '../launcher/messages.js';
import { handOver } from '../native/kept.js';
import { close, setWindowSize } from '../sys/files.js';
import { TerminalInput } from '../terminalInput.js';
import { openAtEnd } from './logFile.js';
import { type LogSource, readLogs } from './logs.js';
import type { DetachedStreams } from './state.js';

/** Options of `container.attach`. */
export interface AttachOptions {
  /** Also write to what the command reads. Default `false`. */
  stdin?: boolean | undefined;
}

/** A hold on the streams of a detached container's command. Several processes may have one. */
export interface Attachment extends AsyncDisposable {
  /**
   * Feeds the command; `null` unless asked for. After `end()` nobody else gets it any more, and the
   * command's end of file comes once all who have it have let go. With a terminal, write ^D instead.
   */
  readonly stdin: Writable | null;
  /** What it prints from now on; ends with the container. */
  readonly stdout: Readable;
  /** `null` with a terminal, where all is stdout. */
  readonly stderr: Readable | null;
  /**
   * Size of its terminal, in characters.
   * @returns false without one, once `stdout` has ended, and when all is closed
   */
  resize(size: { cols: number; rows: number }): boolean;
  /** Lets go of the streams; the command does not notice. */
  close(): void;
}

/** What `attach` works on. */
export interface AttachTarget {
  id: string;
  number: number;
  streams: DetachedStreams;
  source: LogSource;
  launcher: LauncherClient | undefined;
}

interface Input {
  stream: Writable;
  fd: number;
  /** The descriptor is not the stream's: it is for its size, too, and lives until all is closed. */
  closes?: true;
}

/** The monitor's end of what the command reads, as a stream of ours. */
async function openInput(
  { id, number, streams, launcher }: AttachTarget,
  wanted: boolean,
): Promise<Input | undefined> {
  if (!wanted && !streams.pty) return undefined;
  if (launcher === undefined) {
    const message = `container ${id}: expected to be running, is stopped`;
    throw new StateError('ERR_CONTAINER_NOT_RUNNING', message, { phase: 'exec' });
  }
  const { errno, fd } = await launcher.ask(request.feed, number, 0);
  if (errno !== 0 || fd === undefined) {
    if (!wanted) return undefined;
    throw new StateError('ERR_NO_STDIN', `container ${id}: its command has no stdin to write to`, {
      phase: 'exec',
      hint: "create it with `stdio: 'pipe'` or `pty`; somebody may have ended it since",
    });
  }
  if (streams.pty) return openTerminal(fd);
  const stream = handOver(fd, () => new Socket({ fd, readable: false, writable: true }));
  // At the end of what we write, the monitor lets go of its own end, too.
  stream.once('finish', () => launcher.ask(request.feed, number, 1).catch(() => {}));
  return { stream, fd };
}

/** libuv would write to it in blocking mode: a guest that does not read would hold up Node. */
function openTerminal(fd: number): Input {
  const stream = new TerminalInput(true);
  try {
    stream.open(fd);
  } catch (error) {
    stream.destroy();
    close(fd);
    throw error;
  }
  return { stream, fd, closes: true };
}

async function* bytes(entries: AsyncIterable<{ data: Buffer }>) {
  for await (const { data } of entries) yield data;
}

/** One of the outputs from now on. */
async function openOutput(source: LogSource, kind: 'stdout' | 'stderr'): Promise<Readable> {
  const from = await openAtEnd(source);
  const stop = new AbortController();
  const only = { follow: true, stdout: false, stderr: false, [kind]: true, signal: stop.signal };
  const output = Readable.from(bytes(readLogs(source, only, from)), { objectMode: false });
  // Its generator waits for the log, and would notice too late that nobody listens: while nothing is
  // printed it never gets to its end, and 'close' waits for that. One that nobody has read has not
  // begun, and closes nothing.
  const destroy = output._destroy;
  output._destroy = (error, done) => {
    stop.abort();
    void from?.close();
    destroy.call(output, error, done);
  };
  // An abort of ours is no error to anybody.
  output.on('error', () => {});
  return output;
}

/**
 * Attaches to a detached container's command.
 * @throws StateError `ERR_CONTAINER_NOT_RUNNING`, `ERR_NO_STDIN`
 */
export async function attach(
  target: AttachTarget,
  { stdin = false }: AttachOptions,
): Promise<Attachment> {
  const { streams, source } = target;
  const input = await openInput(target, stdin);
  // What the command does not read is its own affair, until somebody listens.
  input?.stream.on('error', () => {});
  const outputs: Readable[] = [];
  let closed = false;
  const closeAll = () => {
    input?.stream.destroy();
    if (input?.closes === true && !closed) close(input.fd);
    closed = true;
    for (const output of outputs) output.destroy();
  };
  try {
    outputs.push(await openOutput(source, 'stdout'));
    if (!streams.pty) outputs.push(await openOutput(source, 'stderr'));
  } catch (error) {
    closeAll();
    throw error;
  }
  const [stdout, stderr = null] = outputs as [Readable, Readable?];
  // With the command a terminal ends in both directions.
  if (streams.pty) stdout.once('end', closeAll);
  return {
    stdin: stdin ? (input?.stream ?? null) : null,
    stdout,
    stderr,
    resize({ cols, rows }) {
      if (input === undefined || !streams.pty || closed) return false;
      setWindowSize(input.fd, rows, cols);
      return true;
    },
    close: closeAll,
    async [Symbol.asyncDispose]() {
      closeAll();
    },
  };
}
