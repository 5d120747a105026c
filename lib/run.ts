import { randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cpuTimeUs } from './cgroups/index.js';
import { ContainerError } from './errors.js';
import { type Ended, type Launched, launch, type RunnableSpec } from './launch.js';
import type { RunOptions, StdioChoice } from './options.js';
import { type Captured, capture } from './output.js';
import { ExitError, type ExitReason, type RunResult, signalNumber } from './result.js';
import { seccompOption } from './seccomp/option.js';
import { annotation } from './spec/annotations.js';
import { checkCommand, checkOptions } from './spec/checks.js';
import { specFromOptions } from './spec/fromOptions.js';
import { specPlace } from './spec/rules/place.js';
import { parseSize } from './spec/size.js';
import { applyOciOption } from './spec/validate.js';
import { openStdio, type Stdio } from './stdio.js';
import { openTerminal, relayTerminal } from './terminal.js';

const defaultMaxBuffer = 10 << 20;
const defaultForceKillAfterDelay = 5000;

/** ms between two looks at the CPU time; Node's timers end at 2^31. */
const longestWait = 60_000;

/** ms for what a container that has ended left in its pipes, at most 1 MiB each. */
const drainMs = 1000;

/** A fresh container id: 12 hexadecimal digits, as docker shortens its own. */
export function newId(): string {
  return randomBytes(6).toString('hex');
}

/** Where relative paths begin. A directory that has been removed has no name, and nothing in it. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/proc/self/cwd';
  }
}

/**
 * The checked spec of a command and its options.
 * @throws InvalidSpecError and its kind, before anything is created
 */
export function specOf(
  id: string,
  file: string,
  args: readonly string[],
  options: RunOptions,
): RunnableSpec {
  checkOptions(options, { hostCpus: cpus().length });
  checkCommand(file, args, options.env);
  const spec = specFromOptions({ file, args }, options, {
    cwd: workingDirectory(),
    id,
    seccomp: seccompOption,
    ...(options.pty && { interactive: options.pty }),
  });
  const final = options.oci === undefined ? spec : applyOciOption(spec, options.oci);
  if (final.process === undefined) {
    throw specPlace.key('process').invalid('the program that `run` is to run');
  }
  return final as RunnableSpec;
}

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

function feed(stdio: Stdio, input: RunOptions['input']): void {
  const { stdin } = stdio;
  if (stdin === undefined) return;
  // A guest that does not read to the end is its own affair.
  stdin.on('error', () => {});
  if (input instanceof Readable) pipeline(input, stdin).catch(() => {});
  else stdin.end(input);
}

/** The first cause that ends a program from our side, and what it does about it. */
class Ending {
  cause: Exclude<ExitReason, 'exit' | 'signal' | 'oom' | 'pids'> | undefined;
  readonly #launched: Launched;
  readonly #timers: NodeJS.Timeout[] = [];
  #cpuTimer: NodeJS.Timeout | undefined;
  readonly #onAbort: (() => void) | undefined;
  #done = false;

  constructor(
    launched: Launched,
    readonly options: RunOptions,
    started: number,
  ) {
    this.#launched = launched;
    const { timeout, signal } = options;
    if (timeout !== undefined && timeout > 0) {
      const left = Math.max(0, timeout - (performance.now() - started));
      this.#timers.push(setTimeout(() => this.#gently('timeout'), left));
    }
    if (signal !== undefined) {
      this.#onAbort = () => this.#gently('abort');
      if (signal.aborted) this.#onAbort();
      else signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** Kills at once. */
  now(cause: 'output' | 'cpu-time'): void {
    this.cause ??= cause;
    this.#launched.kill();
  }

  #gently(cause: 'timeout' | 'abort'): void {
    if (this.cause !== undefined) return;
    this.cause = cause;
    const { killSignal = 'SIGTERM', forceKillAfterDelay = defaultForceKillAfterDelay } =
      this.options;
    const number = signalNumber(killSignal);
    if (number === 9) return this.#launched.kill();
    this.#launched.signal(number);
    if (forceKillAfterDelay !== false)
      this.#timers.push(setTimeout(() => this.#launched.kill(), forceKillAfterDelay));
  }

  /** Looks at the CPU time used as often as it could have run out. */
  watchCpuTime(limitMs: number): void {
    // All of the machine's: a program may widen the CPU affinity that it has from us.
    const parallel = cpus().length;
    const look = async () => {
      let leftMs = 0;
      try {
        const usedUs = await cpuTimeUs(this.#launched.cgroup);
        // No count any more means that the container is being taken down.
        if (usedUs === undefined || this.#done) return;
        leftMs = limitMs - usedUs / 1000;
        if (leftMs <= 0) return this.now('cpu-time');
      } catch {
        // No descriptor left just now: the limit stands, so look again soon.
      }
      const wait = Math.min(longestWait, Math.max(5, leftMs / parallel));
      if (!this.#done) this.#cpuTimer = setTimeout(look, wait);
    };
    void look();
  }

  done(): void {
    this.#done = true;
    for (const timer of [...this.#timers, this.#cpuTimer]) clearTimeout(timer);
    if (this.#onAbort !== undefined)
      this.options.signal?.removeEventListener('abort', this.#onAbort);
  }
}

function reasonOf(ended: Ended, cause: Ending['cause']): ExitReason {
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
  cause: Ending['cause'];
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

function throwIfAsked(result: RunResult<string | Buffer>, options: RunOptions): void {
  if (result.isCanceled && options.signal !== undefined) throw abortError(options.signal, result);
  if (options.maxBufferAction === 'error' && result.isMaxBuffer) {
    throw new ContainerError(
      'ERR_MAX_BUFFER',
      `${result.truncated.stdout ? 'stdout' : 'stderr'} went beyond maxBuffer`,
      { option: 'maxBuffer', phase: 'process' },
    );
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
  const overflow = { early: false, stop: () => {} };
  const onLimit = () => {
    overflow.early = true;
    overflow.stop();
  };
  const outputs = [capture(stdio.stdout, limit, onLimit), capture(stdio.stderr, limit, onLimit)];
  // At once: a stream that fails while nobody listens would end this process.
  feed(stdio, options.input);
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
  if ((options.maxBufferAction ?? 'truncate') !== 'truncate') {
    overflow.stop = () => ending.now('output');
    if (overflow.early) overflow.stop();
  }
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
    throwIfAsked(result, options);
    return result;
  } finally {
    ending.done();
    stdio.destroy();
  }
}
