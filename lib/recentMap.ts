/** A map of bounded size: what was asked for longest ago goes first. */
export class RecentMap<V> {
  readonly #values = new Map<string, V>();

  /** @param max entries that are kept */
  constructor(readonly max: number) {}

  /** What is kept under a key, or else what `make` makes of it. */
  get(key: string, make: () => V): V {
    const value = this.#values.has(key) ? (this.#values.get(key) as V) : make();
    this.#values.delete(key);
    this.#values.set(key, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > this.max && oldest !== undefined) this.#values.delete(oldest);
    return value;
  }
}
