import { murmur3 } from "../../src/engine/index.js";

/** The checksum of a set of texts, in any order: two sums of hashes, as UpdateCommit.digest has them. */
export class Sum {
  #high: number;
  #low: number;

  constructor(from?: Sum) {
    this.#high = from === undefined ? 0 : from.#high;
    this.#low = from === undefined ? 0 : from.#low;
  }

  add(text: string): void {
    this.#high = (this.#high + murmur3(text, 0)) >>> 0;
    this.#low = (this.#low + murmur3(text, 1)) >>> 0;
  }

  remove(text: string): void {
    this.#high = (this.#high - murmur3(text, 0)) >>> 0;
    this.#low = (this.#low - murmur3(text, 1)) >>> 0;
  }

  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }
}

/** Sixteen digits that tell one text from another. */
export function hashOf(text: string): string {
  return hex(murmur3(text, 2)) + hex(murmur3(text, 3));
}

function hex(half: number): string {
  return half.toString(16).padStart(8, "0");
}
