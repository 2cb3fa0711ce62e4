import { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import { type AttributeValue, compileAttribute, NOW_ATTRIBUTE, type ReadAttribute } from "./attribute.js";
import type { Context } from "./context.js";
import { engineLimits } from "./limits.js";
import { finishMurmur3, finishMurmur3Integer, HALF, type MurmurState, startMurmur3 } from "./murmur3.js";
import type { Problems } from "./problem.js";

/** A context's hash less 2^31, a signed 32-bit integer (see `finishMurmur3`); undefined where it has nothing to hash. */
export type HashContext = (context: Context) => number | undefined;

/** How a context is hashed, and what of it. */
export interface ContextHash {
  readonly hashContext: HashContext;
  readonly attribute: string;
  readonly read: ReadAttribute;
  readonly salt: string;
  /** After the salt. */
  readonly state: MurmurState;
}

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
): ContextHash | undefined {
  if (bucketing.bucketBy === NOW_ATTRIBUTE) {
    problems.add(`${path}.bucket_by`, `${NOW_ATTRIBUTE} changes all the time and cannot be hashed`);
    return undefined;
  }
  switch (bucketing.algorithm) {
    case RolloutAlgorithm.UNSPECIFIED:
    case RolloutAlgorithm.MURMUR3_32:
      return hashAttribute(bucketing.bucketBy || "targetingKey", bucketing.salt ?? defaultSalt);
    default:
      problems.add(`${path}.algorithm`, `${bucketing.algorithm} is not known to this version`);
      return undefined;
  }
}

function hashAttribute(attribute: string, salt: string): ContextHash {
  const read = compileAttribute(attribute);
  const state = startMurmur3(salt);
  const hashContext: HashContext = (context) => {
    const value = read(context, 0);
    if (typeof value === "string") return finishMurmur3(state, value);
    if (typeof value === "number") return Number.isSafeInteger(value) ? finishMurmur3Integer(state, value) : undefined;
    return typeof value === "boolean" ? finishMurmur3(state, value ? "true" : "false") : undefined;
  };
  return { hashContext, attribute, read, salt, state };
}

/**
 * What of a value is hashed: a string as it is, an integer or a boolean in its JSON form. Undefined for all else. For whoever
 * explains; `hashContext` hashes the same without making a text.
 */
export function toHashText(value: AttributeValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "boolean" || Number.isSafeInteger(value) ? String(value) : undefined;
}

/** Problems of a total weight, if it has any. */
export function checkTotalWeight(total: number, path: string, problems: Problems): boolean {
  if (total >= 1 && total <= engineLimits.totalWeight) return true;
  problems.add(path, `the weights' sum is ${total}; it must be from 1 to ${engineLimits.totalWeight}`);
  return false;
}

/** The hash less 2^31 below which a bucket is less than `cumulative`. */
export function boundOf(cumulative: number, total: number): number {
  return hashesBelow(cumulative, total) - HALF;
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
