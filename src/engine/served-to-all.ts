import type { Condition } from "../../gen/flagwire/v1/condition_pb.js";
import type { Serve, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";

/**
 * The variant that everyone gets who can be bucketed at all; undefined where there are several, or none, or where the flag is
 * off, killed or growing, which is for a time. It is read off the settings: that no caller happens to match a rule which
 * serves something else is not noticed.
 */
export function servedToAll(targeting: Targeting | undefined): string | undefined {
  if (targeting === undefined || !targeting.enabled || targeting.killed || targeting.ramps.length > 0) return undefined;
  const served = new Set<string>();
  if (targeting.prerequisites.length > 0) served.add(targeting.offVariant);
  for (const target of targeting.targets) if (target.targetingKeys.length > 0) served.add(target.variant);
  for (const variant of servedByRules(targeting)) served.add(variant);
  const [only, ...others] = served;
  return others.length > 0 || only === "" ? undefined : only;
}

/** What the rules serve, up to one that holds for everyone, and what the default does where there is none such. */
function* servedByRules(targeting: Targeting): Iterable<string> {
  for (const { condition, serve } of targeting.rules) {
    yield* variantsOf(serve);
    if (isEmptyAll(condition)) return;
  }
  yield* variantsOf(targeting.default);
}

function variantsOf(serve: Serve | undefined): readonly string[] {
  const kind = serve?.kind;
  if (kind?.case === "variant") return [kind.value];
  if (kind?.case === "rollout")
    return kind.value.shares.filter(({ weight }) => weight > 0).map((share) => share.variant);
  // The caller's own default.
  return [""];
}

function isEmptyAll(condition: Condition | undefined): boolean {
  return condition?.kind.case === "all" && condition.kind.value.conditions.length === 0;
}
