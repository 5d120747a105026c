import type { Container } from '../container/container.js';

/** What a lease hands through. */
type Face = Pick<Container, 'exec' | 'shell' | 'spawn'>;

/**
 * A container of a pool, to oneself until `release` or the end of an `await using` block, which end
 * it with everything in it. The first program is the one that waits in it already.
 */
export class Lease implements Face, AsyncDisposable {
  /** All that can be done with it: files, copies, stats, events, … */
  readonly container: Container;
  /** As those of the container. */
  readonly exec: Container['exec'];
  readonly shell: Container['shell'];
  readonly spawn: Container['spawn'];
  readonly #release: () => Promise<void>;

  /** @internal Use `pool.acquire`. */
  constructor(container: Container, release: () => Promise<void>) {
    this.container = container;
    this.exec = container.exec.bind(container);
    this.shell = container.shell.bind(container);
    this.spawn = container.spawn.bind(container);
    this.#release = release;
  }

  /** Its container's id. */
  get id(): string {
    return this.container.id;
  }

  /** Ends the container, and resolves when nothing of it is left. A second time it does nothing. */
  release(): Promise<void> {
    return this.#release();
  }

  /** The same as `release`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
