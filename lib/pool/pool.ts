import { internalsOf } from '../container/internals.js';
import { PoolTrace } from '../diagnostics.js';
import type { RunResult } from '../result.js';
import { checkProgram } from '../specOf.js';
import { checkAcquire, checkPool } from './check.js';
import { copyData } from './copyData.js';
import { Lease } from './lease.js';
import { type Member, memberMaker } from './member.js';
import type {
  AcquireOptions,
  PoolContainerOptions,
  PoolOptions,
  PoolRunOptions,
  PoolStats,
} from './options.js';
import { Stock } from './stock.js';

/**
 * Containers that are kept ready, each for one use: behind all of their walls, with one program set
 * up as far as its exec, which takes a fraction of the time that a start takes. A used container is
 * ended, and another made in its place. Those that wait do not keep this process alive; all end with
 * it, or with `close`.
 */
export class Pool implements AsyncDisposable {
  readonly #stock: Stock<Member>;

  /**
   * Begins to make `min` containers.
   * @param container what each of them is, as it is now: later changes of it say nothing
   * @throws InvalidSpecError for a wrong option, for a kept upper layer, and for a seccomp profile
   *   under which a program could not be told its arguments (`seccomp`)
   */
  constructor(container: PoolContainerOptions = {}, options: PoolOptions = {}) {
    const members = copyData(container);
    checkPool(members, options);
    const { min = 1, max = 16, idleTimeout = 30_000, maxWaiting = 1024 } = options;
    const trace = new PoolTrace();
    const limits = { min, max, idleTimeout, maxWaiting };
    this.#stock = new Stock(memberMaker(members), limits, {
      acquired: (acquired) => trace.acquired(acquired),
      changed: (stats) => trace.changed(stats),
      failed: (error) => trace.failed(error),
      lost: () => trace.lost(),
    });
  }

  /**
   * `run` in a container of the pool. Its `signal` also ends the wait for one; `timeout` begins when
   * there is one.
   * @throws as `container.exec` and `acquire`
   */
  run(
    file: string,
    args: readonly string[] | undefined,
    options: PoolRunOptions & { encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>;
  run(
    file: string,
    args?: readonly string[],
    options?: Omit<PoolRunOptions, 'encoding'> & { encoding?: BufferEncoding },
  ): Promise<RunResult>;
  run(
    file: string,
    args?: readonly string[],
    options?: PoolRunOptions,
  ): Promise<RunResult<string | Buffer>>;
  async run(
    file: string,
    args: readonly string[] = [],
    options: PoolRunOptions = {},
  ): Promise<RunResult<string | Buffer>> {
    checkProgram({ file, args, options }, 'exec');
    const member = await this.#stock.take(options.signal);
    // What the program has started ends with it, as in `run`; its pipes do not stay open for that.
    const done = () => void this.#stock.done(member);
    try {
      return await internalsOf(member.container).programs.exec(file, args, options, done);
    } finally {
      done();
    }
  }

  /**
   * Takes a container out of the pool.
   * @param options.signal gives the wait up
   * @throws InvalidSpecError for another option; StateError `ERR_POOL_CLOSED`, `ERR_POOL_FULL`; AbortError (`ABORT_ERR`) after `signal`
   * @throws when there was none ready: as `createContainer`
   */
  async acquire(options: AcquireOptions = {}): Promise<Lease> {
    checkAcquire(options);
    const member = await this.#stock.take(options.signal);
    member.container.ref();
    return new Lease(member.container, () => this.#stock.done(member));
  }

  /** What it has now, and has done since it was made. */
  stats(): PoolStats {
    return this.#stock.stats;
  }

  /**
   * Ends all of its containers, those in use too: what runs in them is killed. Who waits for one is
   * refused with `ERR_POOL_CLOSED`. Resolves when nothing is left; a second time it is the same.
   */
  close(): Promise<void> {
    return this.#stock.close();
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
