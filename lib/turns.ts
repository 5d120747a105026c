/** Tasks that wait for their turn, first come first served: only so many run at a time. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count tasks that may run at a time */
  constructor(count: number) {
    this.#free = count;
  }

  /** Runs a task when its turn has come. */
  async take<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
