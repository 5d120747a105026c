import { type IdSpan, overlap } from './idSpans.js';

/** Keeps ranges apart between processes; `IdLock` is the real one. */
export interface RangeLock {
  /** Locks the range that starts at this id; false when another process has it. */
  lock(start: number): boolean;
  unlock(start: number): void;
}

/** Ranges that may soon be back, in whatever pool of this environment, by the moment when they are. */
const returns = new Map<Promise<void>, IdSpan | undefined>();

/**
 * The holder of a range has ended, and gives it back before `gone` resolves, unless something is in the
 * way.
 * @param gone never rejects
 * @param range undefined where only others know it
 */
export function expectRange(gone: Promise<void>, range?: IdSpan): void {
  returns.set(gone, range);
  void gone.then(() => returns.delete(gone));
}

/**
 * Equal ranges of ids, each lent to one holder at a time. The range that came back last is lent
 * first, so that what was cached for it is used again.
 */
export class RangePool {
  readonly #segments: readonly IdSpan[];
  readonly #size: number;
  readonly #lock: RangeLock | undefined;
  readonly #lent = new Map<number, IdSpan>();
  readonly #returned: IdSpan[] = [];

  /**
   * @param spans the ids to divide; where none holds `size` ids, the longest is one smaller range
   * @param size ids of a range
   * @param lock without it ranges are apart only within this object
   */
  constructor(spans: readonly IdSpan[], size: number, lock?: RangeLock) {
    const longest = spans.toSorted((a, b) => b.count - a.count)[0];
    const whole = longest === undefined || longest.count >= size;
    this.#segments = whole ? spans : [longest];
    this.#size = whole ? size : longest.count;
    this.#lock = lock;
  }

  /**
   * Lends a range, or `undefined` when all are in use.
   * @param usable ranges for which it says no are passed over
   */
  take(usable: (range: IdSpan) => boolean = () => true): IdSpan | undefined {
    for (let range = this.#returned.pop(); range !== undefined; range = this.#returned.pop()) {
      if (this.#lend(range, usable)) return range;
    }
    for (const segment of this.#segments) {
      const end = segment.start + segment.count;
      for (let start = segment.start; start + this.#size <= end; start += this.#size) {
        const range = { start, count: this.#size };
        if (this.#lend(range, usable)) return range;
      }
    }
    return undefined;
  }

  /** Takes a range back; the caller knows that nothing runs with its ids any more. */
  give(range: IdSpan): void {
    this.#lent.delete(range.start);
    this.#lock?.unlock(range.start);
    this.#returned.push(range);
  }

  /** When one of its ranges that are expected may be back; undefined where none is. */
  returning(): Promise<void> | undefined {
    const expected = [...returns].filter(
      ([, range]) =>
        range === undefined || this.#segments.some((segment) => overlap(segment, range)),
    );
    return expected.length === 0 ? undefined : Promise.race(expected.map(([gone]) => gone));
  }

  /** Whether an id of this range is lent. */
  holds(range: IdSpan): boolean {
    return [...this.#lent.values()].some((lent) => overlap(lent, range));
  }

  #lend(range: IdSpan, usable: (range: IdSpan) => boolean): boolean {
    if (this.#lent.has(range.start) || !usable(range)) return false;
    if (this.#lock?.lock(range.start) === false) return false;
    this.#lent.set(range.start, range);
    return true;
  }
}
