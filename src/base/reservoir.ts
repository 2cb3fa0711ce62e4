import type { Random } from "./random.js";

/**
 * A uniform sample of what passes by, of at most `size`, which must be at least 1. Chance is asked for only when something is
 * put in, which gets rarer and rarer: the rest costs a count (Li's algorithm L).
 */
export class Reservoir<T> {
  readonly #size: number;
  readonly #random: Random;
  readonly #items: T[] = [];
  /** How many pass by until the next one is put in. */
  #skipped = 0;
  #weight = 1;

  constructor(size: number, random: Random) {
    this.#size = size;
    this.#random = random;
  }

  /** The sample, in no particular order. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** Whether what passes by now belongs to the sample: then put it in. */
  takes(): boolean {
    if (this.#skipped === 0) return true;
    this.#skipped--;
    return false;
  }

  put(item: T): void {
    if (this.#items.length < this.#size) this.#items.push(item);
    else this.#items[Math.floor(this.#random() * this.#size)] = item;
    if (this.#items.length === this.#size) this.#skip();
  }

  #skip(): void {
    this.#weight *= Math.exp(Math.log(this.#chance()) / this.#size);
    this.#skipped = Math.floor(Math.log(this.#chance()) / Math.log1p(-this.#weight));
  }

  /** More than 0, which has no logarithm. */
  #chance(): number {
    return 1 - this.#random();
  }
}
