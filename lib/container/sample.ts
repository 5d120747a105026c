import { throwIfAborted } from '../abort.js';
import { leavable } from '../leavable.js';

/** Waits so many ms, or until one of the signals is aborted. */
function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', go);
      resolve();
    };
    const timer = setTimeout(go, ms);
    for (const signal of signals) signal.addEventListener('abort', go);
    if (signals.some(({ aborted }) => aborted)) go();
  });
}

/**
 * Asks for a value at once and then at every interval until there is none any more.
 * @param read resolves to undefined when there will be no more
 * @param ended settles when that is so: it is asked once more then, and not after the interval
 * @throws AbortError after `signal`
 */
export function sample<T>(
  read: () => Promise<T | undefined>,
  options: { interval: number; ended: Promise<unknown>; signal?: AbortSignal | undefined },
): AsyncGenerator<T, void, undefined> {
  const { interval, ended } = options;
  return leavable(options.signal, async function* (signal) {
    const end = new AbortController();
    const stop = () => end.abort();
    ended.then(stop, stop);
    for (let due = performance.now(); ; due = Math.max(due + interval, performance.now())) {
      throwIfAborted(signal);
      const value = await read();
      if (value === undefined) return;
      yield value;
      await pause(Math.max(0, due + interval - performance.now()), [signal, end.signal]);
    }
  });
}
