import { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import { compileAttribute, NOW_ATTRIBUTE, type ReadAttribute } from "./attribute.js";
import type { Context } from "./context.js";
import { engineLimits } from "./limits.js";
import { murmur3 } from "./murmur3.js";
import type { Problems } from "./problem.js";

/** A context's hash, an unsigned 32-bit integer; -1 where it has nothing to hash. */
export type HashContext = (context: Context) => number;

/** What Rollout and RolloutCondition say about hashing. */
export interface Bucketing {
  readonly bucketBy: string;
  readonly salt?: string | undefined;
  readonly algorithm: RolloutAlgorithm;
}

const HASHES = 2 ** 32;

/** Compiles the hash of a rollout, as described at Rollout. Undefined where the algorithm is unknown. */
export function compileHash(
  bucketing: Bucketing,
  defaultSalt: string,
  path: string,
  problems: Problems,
): HashContext | undefined {
  if (bucketing.bucketBy === NOW_ATTRIBUTE) {
    problems.add(`${path}.bucket_by`, `${NOW_ATTRIBUTE} changes all the time and cannot be hashed`);
    return undefined;
  }
  switch (bucketing.algorithm) {
    case RolloutAlgorithm.UNSPECIFIED:
    case RolloutAlgorithm.MURMUR3_32:
      return hashAttribute(compileAttribute(bucketing.bucketBy || "targetingKey"), bucketing.salt ?? defaultSalt);
    default:
      problems.add(`${path}.algorithm`, `${bucketing.algorithm} is not known to this version`);
      return undefined;
  }
}

function hashAttribute(read: ReadAttribute, salt: string): HashContext {
  return (context) => {
    const value = read(context, 0);
    if (typeof value === "string") return murmur3(salt + value);
    if (typeof value === "boolean" || Number.isSafeInteger(value)) return murmur3(salt + String(value));
    return -1;
  };
}

/** Problems of a total weight, if it has any. */
export function checkTotalWeight(total: number, path: string, problems: Problems): boolean {
  if (total >= 1 && total <= engineLimits.totalWeight) return true;
  problems.add(path, `the weights' sum is ${total}; it must be from 1 to ${engineLimits.totalWeight}`);
  return false;
}

/**
 * The number of hashes whose bucket is below `cumulative`: `(hash * total) >> 32 < cumulative` holds exactly for the hashes
 * below it. So a share is found by comparing integers, with no multiplication in 64 bits when evaluating.
 *
 * Proof: the bucket is the floor of `hash * total / 2^32` and `cumulative` is an integer, so the bucket is below it exactly
 * if `hash * total / 2^32` is, that is if `hash < cumulative * 2^32 / total`; the hash is an integer, so round that up.
 */
export function hashesBelow(cumulative: number, total: number): number {
  if (cumulative <= 0) return 0;
  if (cumulative >= total) return HASHES;
  const divisor = BigInt(total);
  return Number((BigInt(cumulative) * BigInt(HASHES) + divisor - 1n) / divisor);
}
