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

/** How a launch is given up by the caller's signal. */
export function givenUpBy(signal: AbortSignal | undefined) {
  return { signals: () => [signal], check: () => throwIfAborted(signal) };
}
