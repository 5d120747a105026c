/**
 * An iteration that can be left while a `next` is pending: a generator's own `return` waits for it.
 * @param signal the caller's, if any
 * @param body is given a signal that is aborted with the caller's, and when the iteration is left;
 * what it throws after that is not told
 */
export function leavable<T>(
  signal: AbortSignal | undefined,
  body: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const control = new AbortController();
  const follow = () => control.abort(signal?.reason);
  const inner = body(control.signal);
  let left = false;
  const over = () => signal?.removeEventListener('abort', follow);
  const told = async (step: Promise<IteratorResult<T, void>>): Promise<IteratorResult<T, void>> => {
    try {
      const result = await step;
      if (result.done === true) over();
      return result;
    } catch (error) {
      over();
      if (left) return { done: true, value: undefined };
      throw error;
    }
  };
  const leave = () => {
    left = true;
    control.abort();
  };
  if (signal?.aborted === true) follow();
  else signal?.addEventListener('abort', follow, { once: true });
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => told(inner.next()),
    return() {
      leave();
      return told(inner.return());
    },
    async throw(error: unknown) {
      await this.return();
      throw error;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
}
