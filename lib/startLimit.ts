import { abortError } from './abort.js';
import { defaultForceKillAfterDelay, type EndingOptions } from './ending.js';
import { ContainerError } from './errors.js';

/** Why a start is given up. */
export type GiveUpCause = 'timeout' | 'abort' | 'signal';

/** Node's longest timer. */
const longest = 2 ** 31 - 1;

/**
 * Gives a start up that is not done some time after its timeout or abort: until a program runs there
 * is nothing that `Ending` could end, and a guest may have stopped what sets it up.
 */
export class StartLimit {
  /** Why it was given up, once it was; `'signal'`: somebody wanted its end. */
  cause: GiveUpCause | undefined;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #options: EndingOptions;
  readonly #grace: number;
  readonly #onAbort = () => this.#after(0, 'abort');
  #done = false;

  /** @param since of the call, `performance.now()` */
  constructor(options: EndingOptions, since: number) {
    const { timeout = 0, signal, forceKillAfterDelay = false } = options;
    this.#options = options;
    this.#grace = forceKillAfterDelay === false ? defaultForceKillAfterDelay : forceKillAfterDelay;
    if (timeout > 0) this.#after(timeout - (performance.now() - since), 'timeout');
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** For the start: its reason is the error to give up with. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Somebody wants its end. */
  soon(): void {
    this.#after(0, 'signal');
  }

  /** It has started, or has failed. */
  done(): void {
    this.#done = true;
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  #after(delay: number, cause: GiveUpCause): void {
    // A timer would keep the event loop alive for nothing.
    if (this.#done) return;
    const end = () => {
      this.cause ??= cause;
      this.#controller.abort(this.#reason());
    };
    this.#timers.push(setTimeout(end, Math.min(longest, Math.max(0, delay) + this.#grace)));
  }

  #reason(): Error {
    const { signal } = this.#options;
    if (this.cause === 'abort' && signal !== undefined) return abortError(signal);
    return new ContainerError('ERR_START_TIMEOUT', 'the program was not set up in time', {
      phase: 'exec',
      option: 'timeout',
      hint: 'something in the container keeps programs from starting: stop it',
    });
  }
}
