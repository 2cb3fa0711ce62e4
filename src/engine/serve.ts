import type { Rollout } from "../../gen/flagwire/v1/rollout_pb.js";
import type { Serve } from "../../gen/flagwire/v1/targeting_pb.js";
import { targetingKey } from "./attribute.js";
import { boundOf, type ContextHash, checkTotalWeight, compileHash } from "./bucket.js";
import type { Choice, CompiledServe, SelectOutcome } from "./compiled-flag.js";
import { finishMurmur3 } from "./murmur3.js";
import type { CountedOutcome } from "./outcome.js";
import type { OutcomeMaker } from "./outcome-maker.js";
import type { Problems } from "./problem.js";

/** What a serve's outcomes say of how they came about. */
export interface ServeReasons {
  /** Where it is one variant. */
  readonly variant: "STATIC" | "DEFAULT" | "TARGETING_MATCH";
  readonly ruleId: string | undefined;
}

/** Compiles a serve. Undefined, with problems added, where it is malformed. */
export function compileServe(
  serve: Serve,
  path: string,
  reasons: ServeReasons,
  outcomes: OutcomeMaker,
  problems: Problems,
): CompiledServe | undefined {
  const { kind } = serve;
  switch (kind.case) {
    case "variant": {
      if (!outcomes.checkVariant(kind.value, `${path}.variant`, problems)) return undefined;
      const outcome = outcomes.variant(kind.value, reasons.variant, { ruleId: reasons.ruleId });
      return { source: serve, select: () => outcome, constant: outcome, hash: undefined };
    }
    case "rollout": {
      const rollout = compileRollout(kind.value, `${path}.rollout`, reasons.ruleId, outcomes, problems);
      return rollout && { source: serve, ...rollout };
    }
    case undefined:
      problems.add(path, "must be one of variant and rollout");
      return undefined;
  }
}

export function constantChoice(outcome: CountedOutcome): Choice {
  return { select: () => outcome, constant: outcome };
}

function compileRollout(
  rollout: Rollout,
  path: string,
  ruleId: string | undefined,
  outcomes: OutcomeMaker,
  problems: Problems,
): Omit<CompiledServe, "source"> | undefined {
  let total = 0;
  let known = true;
  for (const [index, share] of rollout.shares.entries()) {
    total += share.weight;
    known = outcomes.checkVariant(share.variant, `${path}.shares[${index}].variant`, problems) && known;
  }
  if (rollout.shares.length === 0) problems.add(`${path}.shares`, "at least one share is required");
  else known = checkTotalWeight(total, `${path}.shares`, problems) && known;
  const hash = compileHash(rollout, outcomes.flagKey, path, problems);
  if (hash === undefined || !known || rollout.shares.length === 0) return undefined;

  const bounds: number[] = [];
  const chosen: CountedOutcome[] = [];
  let cumulative = 0;
  for (const share of rollout.shares) {
    if (share.weight === 0) continue;
    cumulative += share.weight;
    bounds.push(boundOf(cumulative, total));
    chosen.push(outcomes.variant(share.variant, "SPLIT", { ruleId }));
  }
  const missing = outcomes.error("TARGETING_KEY_MISSING", describeMissing(hash.attribute), { ruleId });
  const select = selectShare(hash, bounds, chosen, missing);
  return { select, constant: undefined, hash };
}

/** What a caller is told whose context has nothing to hash. A targeting key is text alone, so a number for one is none. */
function describeMissing(attribute: string): string {
  if (attribute === "targetingKey") return "the context's targetingKey is missing, empty or no text";
  return `the context's ${attribute} is missing or nothing to hash: a text, an integer or a boolean`;
}

/** Nearly all rollouts are by targeting key: for these, select and hash are one function. */
function selectShare(
  { attribute, hashContext, state }: ContextHash,
  bounds: readonly number[],
  chosen: readonly CountedOutcome[],
  missing: CountedOutcome,
): SelectOutcome {
  if (attribute === "targetingKey") {
    return (context) => {
      const key = targetingKey(context);
      return key === undefined ? missing : (chosen[shareOf(finishMurmur3(state, key), bounds)] ?? missing);
    };
  }
  return (context) => {
    const value = hashContext(context);
    return value === undefined ? missing : (chosen[shareOf(value, bounds)] ?? missing);
  };
}

/** The first share whose bound a value is below. Whoever is in none before it is in the last one: its bound is above all. */
function shareOf(value: number, bounds: readonly number[]): number {
  const last = bounds.length - 1;
  for (let index = 0; index < last; index++) if (value < (bounds[index] ?? 0)) return index;
  return last;
}
