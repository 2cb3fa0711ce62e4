import type { JsonValue } from "@bufbuild/protobuf";
import type { ExportScope } from "./export-scope.js";
import { allOf } from "./logic.js";
import type { Place } from "./place.js";
import { type FlagdShare, toFlagdFractional } from "./to-fractional.js";
import { type Hashing, toFlagdHash, toPresenceTest } from "./to-hash.js";

/** One of the parts that buckets are cut into. */
export interface BucketPart {
  readonly holds: boolean;
  readonly weight: number;
}

/** Whether the bucket is in a part that holds; so it is in none where there is nothing to hash. Never null. */
export function toBucketTest(
  hashing: Hashing,
  parts: readonly BucketPart[],
  place: Place,
  scope: ExportScope,
): JsonValue {
  const hash = toFlagdHash(hashing, place, scope);
  if (parts.every(({ holds, weight }) => !holds || weight === 0)) return false;
  if (parts.every(({ holds, weight }) => holds || weight === 0)) return toPresenceTest(hashing, hash);
  const shares = joined(parts).map(({ holds, weight }): FlagdShare => [holds, weight]);
  // Inside a `!!`, whose operand flagd's schema leaves open: it wants texts in a `fractional`, and Go's provider warns of each payload
  // with others.
  return allOf([hash.guard ?? true, toFlagdFractional(hash, shares)]);
}

/** Neighbours that are alike as one; without those that nobody is in. */
function joined(parts: readonly BucketPart[]): readonly BucketPart[] {
  const result: BucketPart[] = [];
  for (const part of parts) {
    if (part.weight === 0) continue;
    const last = result.at(-1);
    if (last?.holds !== part.holds) result.push(part);
    else result[result.length - 1] = { holds: part.holds, weight: last.weight + part.weight };
  }
  return result;
}
