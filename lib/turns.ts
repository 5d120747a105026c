/** Tasks that wait for their turn, first come first served: only so many run at a time. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param count tasks that may run at a time */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Runs a task when its turn has come.
   * @throws the reason of `signal` when that comes before its turn
   */
  async take<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await task();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#free++;
      else next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(enter);
        reject(signal?.reason as Error);
      };
      const enter = () => {
        this.#waiting.delete(enter);
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.add(enter);
    });
  }
}
