import type { CompletionOptions } from '../index.js';
import { codeOfSignal } from './exitCode.js';

const ending: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** Does something about what this process is told to end with. @returns undoes it */
export function onSignals(act: (signal: NodeJS.Signals) => void): () => void {
  const handlers = ending.map((signal) => {
    const handle = () => act(signal);
    process.on(signal, handle);
    return () => process.off(signal, handle);
  });
  return () => {
    for (const off of handlers) off();
  };
}

/**
 * Does something that such a signal gives up, so that it can put right what it has begun; the second
 * one ends this process at once.
 * @returns what `work` does, or the exit code that is due to the signal where that has ended it
 */
export async function untilSignal<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | number> {
  const controller = new AbortController();
  let code: number | undefined;
  const off = onSignals((signal) => {
    if (code !== undefined) process.exit(code);
    code = codeOfSignal(signal);
    controller.abort();
  });
  try {
    return await work(controller.signal);
  } catch (error) {
    if (code === undefined || (error as Error).name !== 'AbortError') throw error;
    return code;
  } finally {
    off();
  }
}

/**
 * Passes on what this process is told to end with. The first signal goes to the program, which has
 * `forceKillAfterDelay` to follow it; the second ends us, and with us the container.
 * @param options of the run; gets `signal`, and `killSignal` when a signal has come
 */
export function forwardSignals(options: Pick<CompletionOptions, 'signal' | 'killSignal'>): void {
  const controller = new AbortController();
  options.signal = controller.signal;
  onSignals((signal) => {
    if (controller.signal.aborted) process.exit(codeOfSignal(signal));
    // `run` reads it at the abort: the program gets the signal that we got.
    options.killSignal = signal;
    controller.abort(signal);
  });
}
