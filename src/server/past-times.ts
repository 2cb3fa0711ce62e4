import type { Store } from "../store/index.js";

/** Room for times of revisions to come, in numbers. */
const SPARE = 1_024;

/**
 * When the kept revisions were committed, each read at most once, when it is asked how things were before it. All newer ones
 * have to be looked at: clocks are set back, so times need not grow with revisions.
 */
export class PastTimes {
  /** Of the revisions from `#first` on, in epoch milliseconds; NaN where it was not read. */
  #times = new Float64Array(0);
  #first = 0n;

  constructor(readonly store: Pick<Store, "outlines" | "edges">) {}

  /**
   * The newest kept revision, up to `newest`, that had been committed by a time; undefined where there is none, or `signal`
   * aborts. One call at a time.
   */
  async revisionAt(timeMs: number, newest: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    const { oldest } = this.store.edges();
    this.#cover(oldest, newest);
    const last = Number(oldest - this.#first);
    for (let place = Number(newest - this.#first); place >= last; place--) {
      if (this.#isUnknown(place)) await this.#readFrom(place, timeMs, signal);
      // Dropped meanwhile, and with it all before it; or nobody waits any more.
      if (this.#isUnknown(place)) return undefined;
      if (this.#isBy(place, timeMs)) return this.#first + BigInt(place);
    }
    return undefined;
  }

  /** Backwards, until a time that is known or is asked for. */
  async #readFrom(newest: number, timeMs: number, signal: AbortSignal): Promise<void> {
    for await (const outline of this.store.outlines(this.#first + BigInt(newest) + 1n)) {
      const place = Number(outline.revision - this.#first);
      if (signal.aborted || !this.#isUnknown(place)) return;
      this.#times[place] = outline.timeMs();
      if (this.#isBy(place, timeMs)) return;
    }
  }

  #isUnknown(place: number): boolean {
    return Number.isNaN(this.#times[place] ?? 0);
  }

  #isBy(place: number, timeMs: number): boolean {
    return (this.#times[place] ?? Number.NaN) <= timeMs;
  }

  /** Makes room, and forgets what history has dropped. */
  #cover(oldest: bigint, newest: bigint): void {
    if (newest - this.#first < this.#times.length) return;
    const grown = new Float64Array(Math.max(Number(newest - oldest) + 1, 0) + SPARE).fill(Number.NaN);
    const dropped = Number(oldest - this.#first);
    grown.set(this.#times.subarray(Math.min(dropped, this.#times.length)));
    this.#times = grown;
    this.#first = oldest;
  }
}
