import { failedWith } from "./draft.js";
import { bucketOf, hashesBelow } from "./murmur3.js";
import type { Answer, Json, JsonObject } from "./vector-file.js";

/** The heaviest total. */
export const MAX_TOTAL = 2 ** 31 - 1;
export const LAST_HASH = 2 ** 32 - 1;
const MAX_SAFE = 9_007_199_254_740_991;

/** The variants of every rollout, in the order of its shares. */
export const letters: JsonObject = { a: "A", b: "B", c: "C", d: "D" };
export const nothingToHash = failedWith("TARGETING_KEY_MISSING");

/** A rollout over `a`, `b` and so on, by their weights. */
export interface Split {
  readonly weights: readonly number[];
  readonly salt?: string;
  readonly bucketBy?: string;
  readonly algorithm?: string;
}

export function toRollout({ weights, ...rest }: Split): JsonObject {
  const names = Object.keys(letters);
  const shares = weights.map((weight, index) => ({ variant: names[index] ?? "", weight }));
  return { rollout: { shares, ...(rest as JsonObject) } };
}

/** The variant of a hash: the first share whose cumulative weight exceeds the bucket. */
export function chosen({ weights }: Split, hash: number): string {
  const bucket = bucketOf(hash, sum(weights));
  let cumulative = 0;
  for (const [index, weight] of weights.entries()) {
    cumulative += weight;
    if (cumulative > bucket) return Object.keys(letters)[index] ?? "";
  }
  throw new Error("every bucket is below the total");
}

const sum = (weights: readonly number[]): number => weights.reduce((total, weight) => total + weight, 0);

/** The hashes on both sides of every share's limits, and the first and last of all. */
export function edges(weights: readonly number[]): number[] {
  const total = sum(weights);
  const hashes = new Set([0, LAST_HASH]);
  let cumulative = 0;
  for (const weight of weights) {
    cumulative += weight;
    const limit = hashesBelow(cumulative, total);
    for (const hash of [limit - 1, limit]) if (hash >= 0 && hash <= LAST_HASH) hashes.add(hash);
  }
  return [...hashes].sort((one, other) => one - other);
}

/** What a rollout answers whoever has this hash. */
export function answer(split: Split, hash: number, ruleId?: string): Answer {
  const variant = chosen(split, hash);
  return { reason: "SPLIT", value: letters[variant] ?? null, variant, ...(ruleId !== undefined && { ruleId }) };
}

/** An integer or a boolean is hashed as JSON writes it; anything else but a text is missing. */
export const hashed: readonly (readonly [value: Json, text: string])[] = [
  ["", ""],
  ["7", "7"],
  [7, "7"],
  [7.0, "7"],
  [0, "0"],
  ["0", "0"],
  [-3, "-3"],
  [1_000_000, "1000000"],
  [-10, "-10"],
  [9_999_999, "9999999"],
  [-9_999_999, "-9999999"],
  [10_000_000, "10000000"],
  [-10_000_001, "-10000001"],
  [2_147_483_648, "2147483648"],
  [99_999_999_999_999, "99999999999999"],
  [100_000_000_000_000, "100000000000000"],
  [-700_000_080_000_009, "-700000080000009"],
  [1e15, "1000000000000000"],
  [MAX_SAFE, "9007199254740991"],
  [-MAX_SAFE, "-9007199254740991"],
  [true, "true"],
  [false, "false"],
  ["true", "true"],
  ["日本", "日本"],
  ["1.5", "1.5"],
];

/** What is as good as missing. */
export const unhashed: readonly Json[] = [
  null,
  1.5,
  -0.5,
  1e-7,
  MAX_SAFE + 1,
  -MAX_SAFE - 1,
  1e21,
  1e300,
  [],
  ["u1"],
  [7],
  {},
  { id: "u1" },
];
