import { setTimeout as sleep } from 'node:timers/promises';
import { abortError, throwIfAborted } from '../abort.js';

/**
 * Asks for a value at once and then at every interval until there is none any more.
 * @param read resolves to undefined when there will be no more
 * @throws AbortError after `signal`
 */
export async function* sample<T>(
  read: () => Promise<T | undefined>,
  { interval, signal }: { interval: number; signal?: AbortSignal | undefined },
): AsyncGenerator<T, void, undefined> {
  for (let due = performance.now(); ; due = Math.max(due + interval, performance.now())) {
    throwIfAborted(signal);
    const value = await read();
    if (value === undefined) return;
    yield value;
    const wait = due + interval - performance.now();
    try {
      await sleep(Math.max(0, wait), undefined, signal === undefined ? {} : { signal });
    } catch {
      throw abortError(signal as AbortSignal);
    }
  }
}
