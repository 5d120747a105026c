import { cpus } from 'node:os';
import { cpuTimeUs } from './cgroups/index.js';
import type { Started } from './complete.js';
import type { CompletionOptions } from './options.js';
import { type ExitReason, signalNumber } from './result.js';

/** The reasons that are ours to give; the others are the program's or the kernel's. */
export type EndingCause = Exclude<ExitReason, 'exit' | 'signal' | 'oom' | 'pids' | 'lost'>;

/** ms between the first signal and SIGKILL. */
export const defaultForceKillAfterDelay = 5000;

/** ms between two looks at the CPU time; Node's timers end at 2^31. */
const longestWait = 60_000;

/** How a program's time, or an abort, ends it. */
export type EndingOptions = Pick<
  CompletionOptions,
  'timeout' | 'signal' | 'killSignal' | 'forceKillAfterDelay'
>;

/** The first cause that ends a program from our side, and what it does about it. */
export class Ending {
  /** What it was, once there was one. */
  cause: EndingCause | undefined;
  readonly #launched: Started;
  readonly #timers: NodeJS.Timeout[] = [];
  #cpuTimer: NodeJS.Timeout | undefined;
  readonly #onAbort: (() => void) | undefined;
  #done = false;

  constructor(
    launched: Started,
    readonly options: EndingOptions,
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
    // Something has been ending it already.
    if (this.cause !== undefined) return;
    this.cause = cause;
    const { killSignal = 'SIGTERM', forceKillAfterDelay = defaultForceKillAfterDelay } =
      this.options;
    const number = signalNumber(killSignal);
    if (number === 9) {
      this.#launched.kill();
      return;
    }
    this.#launched.signal(number);
    if (forceKillAfterDelay !== false)
      this.#timers.push(setTimeout(() => this.#launched.kill(), forceKillAfterDelay));
  }

  /** Looks at the CPU time used as often as it could have run out. */
  watchCpuTime(limitMs: number): void {
    // All of the machine's: a program may widen the CPU affinity that it has from us. None are found
    // while no descriptor is left to count them with.
    let parallel = 0;
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
      parallel ||= cpus().length;
      const soon = parallel === 0 ? 0 : leftMs / parallel;
      const wait = Math.min(longestWait, Math.max(5, soon));
      // What runs keeps this process alive, unless it was let go of.
      if (!this.#done) this.#cpuTimer = setTimeout(look, wait).unref();
    };
    void look();
  }

  /** The program has ended; what it has started ends with it where that was our doing. */
  done(): void {
    if (this.cause !== undefined && !this.#done) this.#launched.kill();
    this.#done = true;
    for (const timer of [...this.#timers, this.#cpuTimer]) clearTimeout(timer);
    if (this.#onAbort !== undefined)
      this.options.signal?.removeEventListener('abort', this.#onAbort);
  }
}
