/** Node's own `AbortError`: `code` is `'ABORT_ERR'`, `cause` the signal's reason, and what there was as `result`. */
export function abortError(signal: AbortSignal, result?: object): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR', ...(result && { result }) });
}

/** @throws AbortError when the signal is aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortError(signal);
}

/**
 * What the promise becomes, unless the signal comes first: then what it becomes is nobody's.
 * @throws AbortError after `signal`
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => {});
  throwIfAborted(signal);
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(abortError(signal));
    signal.addEventListener('abort', abort, { once: true, signal: over.signal });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    over.abort();
  }
}

/** How a launch is given up by the caller's signal. */
export function givenUpBy(signal: AbortSignal | undefined) {
  return { signals: () => [signal], check: () => throwIfAborted(signal) };
}
