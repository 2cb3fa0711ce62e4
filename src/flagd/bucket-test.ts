import type { JsonValue } from "@bufbuild/protobuf";
import { TARGETING_KEY } from "./attribute-test.js";
import { SHARES_WARNING } from "./common-warnings.js";
import type { ExportScope } from "./export-scope.js";
import { allOf } from "./logic.js";
import type { Place } from "./place.js";
import { type Hashing, toFlagdHash } from "./to-hash.js";

/** One of the parts that buckets are cut into. */
export interface BucketPart {
  readonly holds: boolean;
  readonly weight: number;
}

/** Whether the bucket is in a part that holds; so it is in none where there is nothing to hash. */
export function toBucketTest(
  hashing: Hashing,
  parts: readonly BucketPart[],
  place: Place,
  scope: ExportScope,
): JsonValue {
  const { input, guard } = toFlagdHash(hashing, place, scope);
  const entries = joined(parts).map(({ holds, weight }): JsonValue => [holds, weight]);
  if (parts.every(({ holds, weight }) => !holds || weight === 0)) return false;
  if (parts.every(({ holds, weight }) => holds || weight === 0)) {
    const attribute = hashing.bucketBy || TARGETING_KEY;
    return guard ?? (attribute === TARGETING_KEY ? { "!!": [{ var: TARGETING_KEY }] } : true);
  }
  scope.findings.warn(place, SHARES_WARNING);
  const test = { fractional: input === undefined ? entries : [input, ...entries] };
  return guard === undefined ? test : allOf([guard, test]);
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
