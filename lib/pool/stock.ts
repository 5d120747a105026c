import { abortError, throwIfAborted } from '../abort.js';
import { StateError } from '../errors.js';
import type { PoolStats } from './options.js';

/** How a stock's members come and go. */
export interface Maker<M> {
  /** Makes one; gives up after `signal`. */
  make(signal: AbortSignal): Promise<M>;
  /** Ends one, and resolves when nothing of it is left. */
  end(member: M): Promise<void>;
  /** Resolves when one that waits is of no use any more. */
  died(member: M): Promise<void>;
  /** Resolves when one has ended, whoever has ended it. */
  gone(member: M): Promise<void>;
}

/** The numbers of a `PoolOptions`. */
export interface StockLimits {
  min: number;
  max: number;
  idleTimeout: number;
  maxWaiting: number;
}

/** What has happened to an acquisition: told to who counts. */
export interface Acquired {
  hit: boolean;
  durationMs: number;
}

interface Waiter<M> {
  since: number;
  give(member: M): void;
  refuse(error: unknown): void;
}

/** Members made at a time for nobody in particular. */
const refillsAtOnce = 2;
/** ms until a member that was taken is replaced: it needs the processor more than its successor. */
const refillDelay = 5;
/** ms after the first failure until the next try for nobody in particular, and at most. */
const firstBackOff = 100;
const longestBackOff = 30_000;

/** What is told of a stock: each acquisition, each change of its numbers, each failure, each loss. */
export interface Listener {
  acquired(acquired: Acquired): void;
  changed(stats: PoolStats): void;
  failed(error: unknown): void;
  lost(): void;
}

/** The state machine of a pool: members that are made, wait, are taken once, and end. */
export class Stock<M extends object> {
  readonly #maker: Maker<M>;
  readonly #limits: StockLimits;
  readonly #listener: Listener;
  /** Oldest first, with the time since when it waits. */
  readonly #ready: { member: M; since: number }[] = [];
  readonly #used = new Map<M, Promise<void> | undefined>();
  readonly #waiting = new Set<Waiter<M>>();
  /** What `close` waits for. */
  readonly #tasks = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #creating = 0;
  /** Those that are being ended without having been used. */
  #ending = 0;
  #backOff = 0;
  #backOffTimer: NodeJS.Timeout | undefined;
  #refillTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #counts = { hits: 0, misses: 0, failed: 0, lost: 0, total: 0, max: 0 };

  constructor(maker: Maker<M>, limits: StockLimits, listener: Listener) {
    this.#maker = maker;
    this.#limits = limits;
    this.#listener = listener;
    this.#grow();
  }

  get stats(): PoolStats {
    const { hits, misses, failed, lost, total, max } = this.#counts;
    return {
      size: this.#size,
      ready: this.#ready.length,
      used: this.#used.size,
      creating: this.#creating,
      waiting: this.#waiting.size,
      ...{ hits, misses, failed, lost },
      waitMs: { total, max },
    };
  }

  get #size(): number {
    return this.#ready.length + this.#used.size + this.#creating + this.#ending;
  }

  /**
   * Takes a member that waits, or the next that is made for who has waited longest.
   * @throws StateError `ERR_POOL_CLOSED`, `ERR_POOL_FULL`; AbortError; what its making throws
   */
  async take(signal?: AbortSignal): Promise<M> {
    this.#refuseClosed();
    throwIfAborted(signal);
    const since = performance.now();
    const first = this.#ready.pop();
    if (first !== undefined) {
      this.#backOff = 0;
      this.#use(first.member, since, true);
      this.#refillTimer ??= setTimeout(() => {
        this.#refillTimer = undefined;
        this.#grow();
      }, refillDelay).unref();
      return first.member;
    }
    // Who has one made for it waits for nobody else's to end.
    const coming = this.#creating + Math.max(0, this.#limits.max - this.#size);
    const waiting = this.#waiting.size - coming;
    if (waiting >= this.#limits.maxWaiting) {
      throw new StateError('ERR_POOL_FULL', `the pool: ${waiting} wait already`, {
        phase: 'options',
        hint: 'raise `max` or `maxWaiting`, or call less often',
      });
    }
    return this.#wait(since, signal);
  }

  #wait(since: number, signal: AbortSignal | undefined): Promise<M> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter);
        reject(abortError(signal as AbortSignal));
        this.#listener.changed(this.stats);
      };
      const settled = () => {
        this.#waiting.delete(waiter);
        signal?.removeEventListener('abort', leave);
      };
      const waiter: Waiter<M> = {
        since,
        give: (member) => {
          settled();
          resolve(member);
        },
        refuse: (error) => {
          settled();
          reject(error);
        },
      };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', leave, { once: true });
      this.#grow();
    });
  }

  #use(member: M, since: number, hit: boolean): void {
    const durationMs = performance.now() - since;
    this.#used.set(member, undefined);
    // Its place is the next one's, also where nobody says that its use is over.
    void this.#maker.gone(member).then(() => this.done(member));
    this.#counts[hit ? 'hits' : 'misses']++;
    this.#counts.total += durationMs;
    this.#counts.max = Math.max(this.#counts.max, durationMs);
    this.#listener.acquired({ hit, durationMs });
    this.#listener.changed(this.stats);
  }

  /** Its use is over: it is ended. Resolves when nothing of it is left; again: the same. */
  done(member: M): Promise<void> {
    if (!this.#used.has(member)) return Promise.resolve();
    const ended = this.#used.get(member) ?? this.#end(member, () => this.#used.delete(member));
    this.#used.set(member, ended);
    return ended;
  }

  /** Ends one of no use: it takes its place until nothing of it is left. */
  #discard(member: M): void {
    this.#ending++;
    void this.#end(member, () => this.#ending--);
  }

  #end(member: M, leave: () => void): Promise<void> {
    // Whatever comes of it, it is none of ours any more.
    const over = () => {
      leave();
      this.#grow();
    };
    return this.#task(this.#maker.end(member).then(over, over));
  }

  #task(task: Promise<void>): Promise<void> {
    this.#tasks.add(task);
    return task.finally(() => this.#tasks.delete(task));
  }

  /** Makes what is missing, as far as there is room. */
  #grow(): void {
    this.#listener.changed(this.stats);
    if (this.#closed !== undefined) return;
    const { min, max } = this.#limits;
    let room = max - this.#size;
    // For those who wait, at once.
    for (let n = this.#waiting.size - this.#creating; n > 0 && room > 0; n--, room--)
      void this.#task(this.#create());
    if (this.#backOffTimer !== undefined) return;
    const missing = min - this.#ready.length + this.#waiting.size - this.#creating;
    const turns = refillsAtOnce - Math.max(0, this.#creating - this.#waiting.size);
    for (let n = Math.min(missing, turns, room); n > 0; n--) void this.#task(this.#create());
  }

  async #create(): Promise<void> {
    this.#creating++;
    this.#listener.changed(this.stats);
    let member: M;
    try {
      member = await this.#maker.make(this.#closing.signal);
    } catch (error) {
      this.#creating--;
      this.#fail(error);
      return;
    }
    this.#creating--;
    if (this.#closed !== undefined) {
      await this.#maker.end(member).catch(() => {});
      return;
    }
    this.#put(member);
    this.#grow();
  }

  #fail(error: unknown): void {
    if (this.#closed !== undefined) return;
    this.#counts.failed++;
    this.#listener.failed(error);
    this.#slowDown();
    const [longest] = this.#waiting;
    longest?.refuse(error);
    this.#grow();
  }

  /** Nobody is served by trying again at once. */
  #slowDown(): void {
    if (this.#backOffTimer !== undefined) return;
    this.#backOff = Math.min(longestBackOff, this.#backOff * 2 || firstBackOff);
    this.#backOffTimer = setTimeout(() => {
      this.#backOffTimer = undefined;
      this.#grow();
    }, this.#backOff).unref();
  }

  #put(member: M): void {
    const [waiter] = this.#waiting;
    if (waiter !== undefined) {
      this.#backOff = 0;
      // First: whoever hears of it may abort the wait, which is over.
      waiter.give(member);
      this.#use(member, waiter.since, false);
      return;
    }
    this.#ready.push({ member, since: performance.now() });
    void this.#maker.died(member).then(() => this.#lose(member));
    this.#trim();
  }

  #lose(member: M): void {
    const at = this.#ready.findIndex((each) => each.member === member);
    // It has been taken, or its end is ours already.
    if (at < 0) return;
    this.#ready.splice(at, 1);
    this.#counts.lost++;
    this.#listener.lost();
    this.#slowDown();
    this.#discard(member);
  }

  /** Ends those beyond `min` that nobody has wanted for long. */
  #trim(): void {
    clearTimeout(this.#idleTimer);
    const { min, idleTimeout } = this.#limits;
    while (this.#ready.length > min) {
      const [oldest] = this.#ready;
      if (oldest === undefined) return;
      const left = oldest.since + idleTimeout - performance.now();
      if (left > 0) {
        this.#idleTimer = setTimeout(() => this.#trim(), Math.ceil(left)).unref();
        return;
      }
      this.#ready.shift();
      this.#discard(oldest.member);
    }
  }

  #refuseClosed(): void {
    if (this.#closed !== undefined) throw closedError();
  }

  /** Ends all of them, refuses who waits, and resolves when nothing is left. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // `take` and `#create` look at it from here on.
    await Promise.resolve();
    for (const timer of [this.#backOffTimer, this.#refillTimer, this.#idleTimer])
      clearTimeout(timer);
    this.#closing.abort();
    for (const waiter of this.#waiting) waiter.refuse(closedError());
    for (const { member } of this.#ready.splice(0)) this.#discard(member);
    for (const member of this.#used.keys()) void this.done(member);
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#listener.changed(this.stats);
  }
}

function closedError(): StateError {
  return new StateError('ERR_POOL_CLOSED', 'the pool has been closed', { phase: 'options' });
}
