/** A map of bounded size: beyond it, what was set longest ago goes. */
export class RecentMap<V> {
  readonly #maxSize: number;
  /** In the order in which they were set last. */
  readonly #entries = new Map<string, V>();

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  /** Returns what had to go. */
  set(key: string, value: V): readonly [key: string, value: V] | undefined {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#maxSize) return undefined;
    for (const oldest of this.#entries) {
      this.#entries.delete(oldest[0]);
      return oldest;
    }
    return undefined;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Those that were set longest ago first. */
  entries(): Iterable<readonly [key: string, value: V]> {
    return this.#entries;
  }

  newestFirst(): V[] {
    return [...this.#entries.values()].reverse();
  }
}
