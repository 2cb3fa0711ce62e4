import type { Match } from "../../gen/flagwire/v1/condition_pb.js";
import type { ReadAttribute } from "./attribute.js";
import type { ContextHash } from "./bucket.js";
import type { Context } from "./context.js";
import type { CompareValue } from "./operators/test-value.js";
import type { Problem } from "./problem.js";

/** Whether something holds for a context. Never throws. */
export type TestContext = (context: Context, now: number) => boolean;

/**
 * A condition ready to be asked: `test` is all that an evaluation calls; the parts are what it was made of, for whoever
 * explains.
 */
export type CompiledCondition = { readonly test: TestContext } & (
  | { readonly kind: "all" | "any"; readonly conditions: readonly CompiledCondition[] }
  | { readonly kind: "not"; readonly condition: CompiledCondition }
  | {
      readonly kind: "match";
      readonly match: Match;
      readonly read: ReadAttribute;
      /** Whether the operator compares values like this one. */
      readonly compares: CompareValue;
      /** See CompiledOperator. */
      readonly members: ReadonlySet<unknown> | undefined;
    }
  | { readonly kind: "segment"; readonly key: string; readonly segment: CompiledSegment }
  | { readonly kind: "rollout"; readonly hash: ContextHash; readonly share: ShareOfBuckets }
);

/** Buckets `start <= bucket < end` of `total`. */
export interface ShareOfBuckets {
  readonly start: number;
  readonly end: number;
  readonly total: number;
}

/** A segment ready to be asked. */
export interface CompiledSegment {
  readonly contains: TestContext;
  readonly included: ReadonlySet<string>;
  readonly excluded: ReadonlySet<string>;
  /** Who else belongs to it; undefined: nobody. */
  readonly condition: CompiledCondition | undefined;
  readonly usesNow: boolean;
  /** See ConditionScope. */
  readonly comparisons: number;
  /** How deep it uses other segments: 1 where it uses none. */
  readonly depth: number;
  /** Empty, or why nothing that uses the segment can be answered. */
  readonly problems: readonly Problem[];
}
