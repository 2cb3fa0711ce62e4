import type { JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "./json.js";
import type { FlagdHash } from "./to-hash.js";

/** What a part of the buckets gives, and its weight. */
export type FlagdShare = readonly [JsonValue, number];

/** `fractional` over what is hashed. Its guard is the caller's. */
export function toFlagdFractional({ input }: FlagdHash, shares: readonly FlagdShare[]): JsonValue {
  const entries = shares.map(([result, weight]): JsonValue => [result, weight]);
  return { fractional: input === undefined ? entries : [input, ...entries] };
}

/** Whether a `fractional` is left anywhere in what was written: some never come to matter, and are dropped. */
export function isBucketed(logic: JsonValue): boolean {
  if (Array.isArray(logic)) return logic.some(isBucketed);
  return isJsonObject(logic) && (Object.hasOwn(logic, "fractional") || Object.values(logic).some(isBucketed));
}

// murmur3("fractional") is in bucket 75 of 100 where its text is hashed and the bucket is an integer, as here: flagd calls that its
// second version. It is in bucket 48 in the first (a fraction of the hash's absolute value), and in 60 in the third (CBOR is hashed).
// flagd's schema wants an expression there, and no text.
const PROBE: readonly JsonValue[] = [{ cat: ["frac", "tional"] }, ["other", 75], ["v2", 1], ["other", 24]];

/** Whether a client of flagd's buckets otherwise than this server. */
export const bucketsOtherwise: JsonValue = { "!==": [{ fractional: [...PROBE] }, "v2"] };

/** No flag has a variant of this name: a client that is given it has an error, which says so, and its caller's default. */
export const OTHER_BUCKETS = "[this client buckets otherwise than the server: use RPC or OFREP]";
