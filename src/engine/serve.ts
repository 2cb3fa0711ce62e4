import type { Rollout } from "../../gen/flagwire/v1/rollout_pb.js";
import type { Serve } from "../../gen/flagwire/v1/targeting_pb.js";
import { checkTotalWeight, compileHash, hashesBelow } from "./bucket.js";
import type { Context } from "./context.js";
import type { Outcome } from "./outcome.js";
import type { OutcomeMaker } from "./outcome-maker.js";
import type { Problems } from "./problem.js";

/** Selects one of a flag's outcomes. Never throws. */
export type SelectOutcome = (context: Context, now: number) => Outcome;

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
): SelectOutcome | undefined {
  const { kind } = serve;
  switch (kind.case) {
    case "variant": {
      if (!outcomes.checkVariant(kind.value, `${path}.variant`, problems)) return undefined;
      const outcome = outcomes.variant(kind.value, reasons.variant, { ruleId: reasons.ruleId });
      return () => outcome;
    }
    case "rollout":
      return compileRollout(kind.value, `${path}.rollout`, reasons.ruleId, outcomes, problems);
    case undefined:
      problems.add(path, "must be one of variant and rollout");
      return undefined;
  }
}

function compileRollout(
  rollout: Rollout,
  path: string,
  ruleId: string | undefined,
  outcomes: OutcomeMaker,
  problems: Problems,
): SelectOutcome | undefined {
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

  const limits: number[] = [];
  const chosen: Outcome[] = [];
  let cumulative = 0;
  for (const share of rollout.shares) {
    if (share.weight === 0) continue;
    cumulative += share.weight;
    limits.push(hashesBelow(cumulative, total));
    chosen.push(outcomes.variant(share.variant, "SPLIT", { ruleId }));
  }
  const missing = outcomes.error(
    "TARGETING_KEY_MISSING",
    `the context's ${rollout.bucketBy || "targetingKey"} is missing or nothing to hash: a text, an integer or a boolean`,
    { ruleId },
  );
  return (context) => {
    const value = hash(context);
    if (value < 0) return missing;
    let index = 0;
    while (index < limits.length - 1 && value >= (limits[index] ?? 0)) index++;
    return chosen[index] ?? missing;
  };
}
