import type { CompletionOptions } from '../index.js';
import { codeOfSignal } from './exitCode.js';

const forwarded: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/**
 * Passes on what this process is told to end with. The first signal goes to the program, which has
 * `forceKillAfterDelay` to follow it; the second ends us, and with us the container.
 * @param options of the run; gets `signal`, and `killSignal` when a signal has come
 */
export function forwardSignals(options: Pick<CompletionOptions, 'signal' | 'killSignal'>): void {
  const controller = new AbortController();
  options.signal = controller.signal;
  for (const signal of forwarded) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(codeOfSignal(signal));
      // `run` reads it at the abort: the program gets the signal that we got.
      options.killSignal = signal;
      controller.abort(signal);
    });
  }
}
