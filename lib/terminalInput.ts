import { Writable } from 'node:stream';
import type { Writer } from './native/binding.js';
import { loadBinding } from './native/load.js';

/**
 * What is typed into a terminal. It waits until there is one, and while a guest does not read, by
 * itself: the event loop goes on.
 */
export class TerminalInput extends Writable {
  #writer: Writer | undefined;
  readonly #holds: boolean;
  /** Keeps this process's event loop alive while something has to wait. */
  #alive: NodeJS.Timeout | undefined;
  /** Goes on with what had to wait. */
  #resume = () => {};

  /** @param holds whether what has to wait keeps this process alive: nothing else may */
  constructor(holds = false) {
    super();
    this.#holds = holds;
  }

  /**
   * There is one now: its master side, of which this has a copy.
   * @throws Error of Node's where there is no room for one more descriptor
   */
  open(fd: number): void {
    if (this.destroyed) return;
    const { Writer } = loadBinding();
    this.#writer = new Writer(fd, () => this.#resume());
    this.#resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, callback: (error?: Error) => void): void {
    let rest = chunk;
    this.#resume = () => {
      if (this.#writer === undefined) return;
      try {
        rest = rest.subarray(this.#writer.write(rest));
      } catch (error) {
        // EIO: the guest has closed it, pty(7).
        this.#over();
        callback(error as Error);
        return;
      }
      if (rest.length > 0) {
        if (this.#holds) this.#alive ??= setInterval(() => {}, 1 << 30);
        return this.#writer.watchWritable();
      }
      this.#over();
      callback();
    };
    this.#resume();
  }

  #over(): void {
    this.#resume = () => {};
    clearInterval(this.#alive);
    this.#alive = undefined;
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#over();
    this.#writer?.close();
    callback(error);
  }
}
