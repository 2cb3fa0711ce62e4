import type { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Prerequisite, Rule, Serve, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import type { ContextHash } from "./bucket.js";
import type { CompiledCondition } from "./compiled-condition.js";
import type { Context } from "./context.js";
import type { CountedOutcome, Tally } from "./outcome.js";
import type { Problem } from "./problem.js";

/** Selects one of a flag's outcomes. Never throws. */
export type SelectOutcome = (context: Context, now: number) => CountedOutcome;

/** A flag ready to answer. */
export interface CompiledFlag {
  readonly key: string;
  readonly type: FlagType;
  /**
   * Selects an outcome. Never waits or reads a clock, and throws only what a getter or `toJSON` of the caller's own context
   * does. `now` (epoch ms) matters only where `usesNow`.
   */
  readonly select: SelectOutcome;
  /** Whether the answer may depend on the time, here or in a prerequisite or segment. */
  readonly usesNow: boolean;
  /** Empty, or why every answer is MALFORMED_FLAG (but for a killed flag, which still answers its off variant). */
  readonly problems: readonly Problem[];
  /** One for each variant that it can answer, and one for none. */
  readonly tallies: readonly Tally[];
}

/** A compiled flag with what other flags, and whoever explains it, need to know of it. */
export interface FlagEntry extends CompiledFlag {
  /** Whether it answers by its targeting: enabled, not killed and not malformed. */
  readonly active: boolean;
  /** See ConditionScope; with its prerequisites'. */
  readonly comparisons: number;
  /** How deep it requires other flags: 1 where it requires none. */
  readonly depth: number;
  readonly plan: FlagPlan;
}

/** What `select` was made of, in the order of evaluation. */
export interface FlagPlan {
  readonly targeting: Targeting | undefined;
  readonly prerequisites: readonly CompiledPrerequisite[];
  readonly targets: ReadonlyMap<string, CountedOutcome>;
  readonly rules: readonly CompiledRule[];
  /** Undefined: the caller's own default. */
  readonly fallback: CompiledServe | undefined;
}

export interface CompiledPrerequisite {
  readonly source: Prerequisite;
  /** Undefined: there is none. */
  readonly flag: FlagEntry | undefined;
  readonly accepted: ReadonlySet<string>;
  /** The outcome if it fails; undefined where it is fulfilled. */
  readonly selectFailure: (context: Context, now: number) => CountedOutcome | undefined;
}

export interface CompiledRule {
  readonly source: Rule;
  readonly condition: CompiledCondition;
  readonly serve: CompiledServe;
}

/** What is served once it is known that it is: one outcome, or one of several. */
export interface Choice {
  readonly select: SelectOutcome;
  /** The only outcome; undefined where there are several. */
  readonly constant: CountedOutcome | undefined;
}

export interface CompiledServe extends Choice {
  readonly source: Serve;
  /** How a rollout hashes. */
  readonly hash: ContextHash | undefined;
}
