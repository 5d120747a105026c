import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Ending, type EndingCause } from './ending.js';
import { ContainerError } from './errors.js';
import { type Ended, type Launched, launch } from './launch.js';
import type { RunOptions, StdioChoice } from './options.js';
import { type Captured, capture } from './output.js';
import { ExitError, type ExitReason, type RunResult } from './result.js';
import { annotation } from './spec/annotations.js';
import { parseSize } from './spec/size.js';
import { newId, specOf } from './specOf.js';
import { openStdio, type Stdio } from './stdio.js';
import { openTerminal, relayTerminal } from './terminal.js';

const defaultMaxBuffer = 10 << 20;

/** ms for what a container that has ended left in its pipes, at most 1 MiB each. */
const drainMs = 1000;

function stdioChoices(options: RunOptions): [StdioChoice, StdioChoice, StdioChoice] {
  const { stdio = 'pipe' } = options;
  const [stdin, stdout, stderr] = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio];
  // Nobody could ever write to a pipe that no input was given for: the guest would wait for ever.
  const unfed = stdin === 'pipe' && options.input === undefined;
  return [unfed ? 'ignore' : stdin, stdout, stderr];
}

function stdioOf(options: RunOptions): Stdio {
  const choices = stdioChoices(options);
  if (options.pty === undefined) return openStdio(choices);
  const [stdin, stdout] = choices;
  return stdout === 'inherit' ? relayTerminal(stdin === 'inherit') : openTerminal();
}

/**
 * The outputs to their end, which a guest can put off by handing its stdout to a program outside
 * (unix(7), SCM_RIGHTS): what that one writes is not waited for.
 */
async function drained(outputs: Promise<Captured>[], stdio: Stdio): Promise<Captured[]> {
  // After the timers comes a round of reading, so nothing is lost where this thread was busy.
  const late = setTimeout(() => setImmediate(stdio.destroy), drainMs);
  const captured = await Promise.all(outputs);
  clearTimeout(late);
  return captured;
}

/** What goes wrong on the guest's side of a pipe: it does not read to the end. Its own affair. */
const guestSide = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR']);

/** Writes the input; `onFailed` hears of a stream that fails before its end. */
function feed(stdio: Stdio, input: RunOptions['input'], onFailed: (cause: unknown) => void): void {
  const { stdin } = stdio;
  if (stdin === undefined) return;
  stdin.on('error', () => {});
  if (!(input instanceof Readable)) {
    stdin.end(input);
    return;
  }
  pipeline(input, stdin).catch((error: NodeJS.ErrnoException) => {
    if (!guestSide.has(error.code ?? '')) onFailed(error);
  });
}

/** Something that may happen before there is a container to stop for it. */
class Stopper {
  happened = false;
  #stop = () => {};

  /** It has happened. */
  now(): void {
    this.happened = true;
    this.#stop();
  }

  /** What to do about it: at once where it has happened already. */
  set(stop: () => void): void {
    this.#stop = stop;
    if (this.happened) stop();
  }
}

function reasonOf(ended: Ended, cause: EndingCause | undefined): ExitReason {
  if (cause !== undefined) return cause;
  if (ended.oom && ended.exitCode !== 0) return 'oom';
  if (ended.pids && ended.exitCode !== 0) return 'pids';
  return ended.signal === null ? 'exit' : 'signal';
}

interface Outcome {
  command: string[];
  ended: Ended;
  launched: Launched;
  out: Captured;
  err: Captured;
  cause: EndingCause | undefined;
  durationMs: number;
}

function resultOf(outcome: Outcome, options: RunOptions): RunResult<string | Buffer> {
  const { ended, out, err, cause } = outcome;
  const { encoding = 'utf8' } = options;
  const text = ({ data }: Captured) => (encoding === 'buffer' ? data : data.toString(encoding));
  return {
    command: outcome.command,
    exitCode: ended.exitCode,
    signal: ended.signal,
    reason: reasonOf(ended, cause),
    stdout: text(out),
    stderr: text(err),
    truncated: { stdout: out.truncated, stderr: err.truncated },
    failed: ended.exitCode !== 0 || cause !== undefined,
    timedOut: cause === 'timeout',
    isCanceled: cause === 'abort',
    isMaxBuffer: out.truncated || err.truncated,
    durationMs: outcome.durationMs,
    usage: ended.usage,
    isolation: outcome.launched.isolation,
  };
}

function abortError(signal: AbortSignal, result?: RunResult<string | Buffer>): Error {
  const error = new Error('the run was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR', ...(result && { result }) });
}

function inputFailed(cause: unknown): ContainerError {
  return new ContainerError('ERR_INPUT', 'input: the stream failed before its end', {
    option: 'input',
    phase: 'process',
    cause,
  });
}

function throwIfAsked(result: RunResult<string | Buffer>, options: RunOptions): void {
  if (result.isCanceled && options.signal !== undefined) throw abortError(options.signal, result);
  if (options.maxBufferAction === 'error' && result.isMaxBuffer) {
    const stream = result.truncated.stdout ? 'stdout' : 'stderr';
    const error = new ContainerError('ERR_MAX_BUFFER', `${stream} went beyond maxBuffer`, {
      option: 'maxBuffer',
      phase: 'process',
    });
    throw Object.assign(error, { result });
  }
  if (options.reject === true && result.failed) throw new ExitError(result);
}

/**
 * Runs one program in a container of its own and waits for its end.
 *
 * The program sees a root file system, users, processes and a network of its own; it has no
 * capabilities, a seccomp filter, and limits. A program that fails is a result, not an error.
 *
 * @param file program, looked up in the container's PATH when it has no `/`; never a shell line
 * @param args its arguments
 * @returns what it left; see `RunResult`. stdout and stderr are strings, or Buffers with
 *   `encoding: 'buffer'`; options of the bare type `RunOptions` leave open which
 * @throws InvalidSpecError for a wrong option, before anything is created
 * @throws NotFoundError `ERR_PROGRAM_NOT_FOUND`, `ERR_SOURCE_NOT_FOUND`, `ERR_USER_NOT_FOUND`, …
 * @throws UnsupportedError, PermissionError for a wall or limit that cannot be had here
 * @throws AbortError when `signal` was aborted; the program is gone then, and `result`, if it had
 *   started, is what it left
 * @throws ContainerError `ERR_INPUT` when the `input` stream fails: a guest that was given half of
 *   its input is killed; `ERR_MAX_BUFFER`, with `result`, as `maxBufferAction: 'error'` asks
 * @throws ExitError with `reject: true`
 */
export function run(
  file: string,
  args: readonly string[],
  options: RunOptions & { encoding: 'buffer' },
): Promise<RunResult<Buffer>>;
export function run(
  file: string,
  args?: readonly string[],
  options?: RunOptions & { encoding?: BufferEncoding },
): Promise<RunResult<string>>;
export function run(
  file: string,
  args: readonly string[] | undefined,
  options: RunOptions,
): Promise<RunResult<string | Buffer>>;
export async function run(
  file: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunResult<string | Buffer>> {
  const started = performance.now();
  const id = newId();
  const spec = specOf(id, file, args, options);
  if (options.signal?.aborted === true) throw abortError(options.signal);
  const limit = parseSize('maxBuffer', options.maxBuffer ?? defaultMaxBuffer);
  const stdio = stdioOf(options);
  const overflow = new Stopper();
  const onLimit = () => overflow.now();
  const outputs = [capture(stdio.stdout, limit, onLimit), capture(stdio.stderr, limit, onLimit)];
  const badInput = new Stopper();
  let inputError: unknown;
  // At once: a stream that fails while nobody listens would end this process.
  feed(stdio, options.input, (cause) => {
    inputError = cause;
    badInput.now();
  });
  let launched: Launched;
  try {
    launched = await launch({
      id,
      spec,
      fds: stdio.fds,
      onSent: stdio.sent,
      ...(stdio.terminal && { onPty: stdio.terminal }),
    });
  } catch (error) {
    stdio.destroy();
    throw error;
  }
  const ending = new Ending(launched, options, started);
  if ((options.maxBufferAction ?? 'truncate') !== 'truncate')
    overflow.set(() => ending.now('output'));
  badInput.set(() => launched.kill());
  const cpuTime = spec.annotations?.[annotation.cpuTime];
  if (cpuTime !== undefined) ending.watchCpuTime(Number(cpuTime));
  try {
    const ended = await launched.ended;
    const durationMs = performance.now() - started;
    ending.done();
    const [out, err] = (await drained(outputs, stdio)) as [Captured, Captured];
    await stdio.drained;
    const command = [file, ...args];
    const outcome = { command, ended, launched, out, err, cause: ending.cause, durationMs };
    const result = resultOf(outcome, options);
    if (badInput.happened) throw inputFailed(inputError);
    throwIfAsked(result, options);
    return result;
  } finally {
    ending.done();
    stdio.destroy();
  }
}
