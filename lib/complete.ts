import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { abortError, throwIfAborted } from './abort.js';
import type { UsageSource } from './cgroups/index.js';
import type { Trace } from './diagnostics.js';
import { Ending, type EndingCause } from './ending.js';
import { ContainerError } from './errors.js';
import type { Ended, Running } from './follow.js';
import type { Isolation } from './isolation.js';
import type { CompletionOptions } from './options.js';
import { type Captured, capture } from './output.js';
import { ExitError, type ExitReason, type RunResult } from './result.js';
import { parseSize } from './spec/size.js';
import { StartLimit } from './startLimit.js';
import type { Stdio } from './stdio.js';
import { openStreams } from './streams.js';
import { mark, tracing } from './trace.js';

const defaultMaxBuffer = 10 << 20;

/** ms for what a container that has ended left in its pipes, at most 1 MiB each. */
const drainMs = 1000;

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
function feed(
  stdio: Stdio,
  input: CompletionOptions['input'],
  onFailed: (cause: unknown) => void,
): void {
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

/** Why it ended: what we did to it, what the kernel did, or itself. */
export function reasonOf(ended: Ended, cause: EndingCause | undefined): ExitReason {
  if (cause !== undefined) return cause;
  if (ended.lost === true) return 'lost';
  if (ended.oom && ended.exitCode !== 0) return 'oom';
  if (ended.pids && ended.exitCode !== 0) return 'pids';
  return ended.signal === null ? 'exit' : 'signal';
}

/** A program that has been started to be waited for. */
export interface Started extends Running {
  readonly isolation: Isolation;
  readonly cgroup: UsageSource;
}

/** How `complete` has a program started, and what it is to watch. */
export interface Start {
  /** What marks of `NODE_DEBUG` are for: the id of the container, or of the program in it. */
  id: string;
  command: string[];
  /** Starts it with these streams; rejects when it cannot be started. */
  start(stdio: Stdio, signal: AbortSignal): Promise<Started>;
  /** Its limit of CPU time, ms. */
  cpuTime?: number | undefined;
  /** Told of its start and end. Called once nothing can be wrong with the options any more. */
  trace(): Trace;
}

interface Outcome {
  command: string[];
  ended: Ended;
  launched: Started;
  out: Captured;
  err: Captured;
  cause: EndingCause | undefined;
  durationMs: number;
}

function resultOf(outcome: Outcome, options: CompletionOptions): RunResult<string | Buffer> {
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
    truncated: { stdout: out.truncated || !out.ended, stderr: err.truncated || !err.ended },
    failed: ended.exitCode !== 0 || cause !== undefined,
    timedOut: cause === 'timeout',
    isCanceled: cause === 'abort',
    isMaxBuffer: out.truncated || err.truncated,
    durationMs: outcome.durationMs,
    usage: ended.usage,
    isolation: outcome.launched.isolation,
  };
}

function inputFailed(cause: unknown): ContainerError {
  return new ContainerError('ERR_INPUT', 'input: the stream failed before its end', {
    option: 'input',
    phase: 'process',
    cause,
  });
}

function throwIfAsked(
  result: RunResult<string | Buffer>,
  options: CompletionOptions,
  out: Captured,
): void {
  if (result.isCanceled && options.signal !== undefined) throw abortError(options.signal, result);
  if (options.maxBufferAction === 'error' && result.isMaxBuffer) {
    const stream = out.truncated ? 'stdout' : 'stderr';
    const error = new ContainerError('ERR_MAX_BUFFER', `${stream} went beyond maxBuffer`, {
      option: 'maxBuffer',
      phase: 'process',
    });
    throw Object.assign(error, { result });
  }
  if (options.reject === true && result.failed) throw new ExitError(result);
}

/**
 * Has a program started, feeds it, reads it, ends it when its time is up, and makes a result of it:
 * what `run` and `exec` have in common.
 * @throws as `run`
 */
export async function complete(
  { id, command, start: launch, cpuTime, trace: begin }: Start,
  options: CompletionOptions,
): Promise<RunResult<string | Buffer>> {
  const started = performance.now();
  throwIfAborted(options.signal);
  const limit = parseSize(options.maxBuffer ?? defaultMaxBuffer, 'maxBuffer');
  const stdio = openStreams(options, options.input !== undefined);
  const trace = begin();
  const starting = new StartLimit(options, started);
  // The plan leaves before anything is done that can be done meanwhile.
  const start = launch(stdio, starting.signal);
  const overflow = new Stopper();
  const onLimit = () => overflow.now();
  const outputs = [capture(stdio.stdout, limit, onLimit), capture(stdio.stderr, limit, onLimit)];
  if (tracing()) stdio.stdout?.once('data', () => mark(id, 'first byte'));
  const badInput = new Stopper();
  let inputError: unknown;
  // At once: a stream that fails while nobody listens would end this process.
  feed(stdio, options.input, (cause) => {
    inputError = cause;
    badInput.now();
  });
  let launched: Started;
  try {
    launched = await start;
  } catch (error) {
    stdio.destroy();
    trace.failed(error);
    throw error;
  } finally {
    starting.done();
  }
  trace.started(launched.pid);
  stdio.flow();
  const ending = new Ending(launched, options, started);
  if ((options.maxBufferAction ?? 'truncate') !== 'truncate')
    overflow.set(() => ending.now('output'));
  badInput.set(() => launched.kill());
  if (cpuTime !== undefined) ending.watchCpuTime(cpuTime);
  try {
    const ended = await launched.ended;
    trace.exited({ ...ended, reason: reasonOf(ended, ending.cause) });
    const durationMs = performance.now() - started;
    ending.done();
    const [out, err] = (await drained(outputs, stdio)) as [Captured, Captured];
    await stdio.drained;
    const outcome = { command, ended, launched, out, err, cause: ending.cause, durationMs };
    const result = resultOf(outcome, options);
    mark(id, 'result');
    if (badInput.happened) throw inputFailed(inputError);
    throwIfAsked(result, options, out);
    return result;
  } catch (error) {
    trace.failed(error);
    throw error;
  } finally {
    ending.done();
    stdio.destroy();
  }
}
