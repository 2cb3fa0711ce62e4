/**
 * How many parts (steps, conditions, values, shares) one trace tells of. What the engine can evaluate would not fit a message;
 * with texts as long as a trace shows them, this many take 2 MiB at most, which leaves room for the flag's value.
 */
const MAX_PARTS = 3_000;

/** A bucket is told with its attribute, salt and input. */
export const BUCKET_PARTS = 6;

/** What is left of a trace's size. Parts that are not told cost their evaluation and nothing else. */
export class TraceBudget {
  #left = MAX_PARTS;
  #exceeded = false;

  /** Whether something was left out. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  /** Takes so many parts, if anything is left; the last taker may take more than there is. */
  take(parts: number): boolean {
    if (this.#left <= 0) {
      this.#exceeded = true;
      return false;
    }
    this.#left -= parts;
    return true;
  }
}
