import type { Condition, Match } from "../../../gen/flagwire/v1/condition_pb.js";
import { contractLimits } from "../limits.js";
import type { Violations } from "./violations.js";

/** Checks lengths and counts; what a condition means is the engine's to check. */
export function checkCondition(condition: Condition | undefined, path: string, violations: Violations): void {
  if (condition === undefined) return;
  let nodes = 0;
  const rest: { readonly condition: Condition; readonly path: string }[] = [{ condition, path }];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    nodes++;
    const { kind } = next.condition;
    if (kind.case === "not") rest.push({ condition: kind.value, path: `${next.path}.not` });
    if (kind.case === "match") checkMatch(kind.value, `${next.path}.match`, violations);
    if (kind.case === "rollout") {
      violations.text(`${next.path}.rollout.bucket_by`, kind.value.bucketBy, 256);
      violations.text(`${next.path}.rollout.salt`, kind.value.salt ?? "", 256);
    }
    if (kind.case !== "all" && kind.case !== "any") continue;
    for (const [index, child] of kind.value.conditions.entries()) {
      rest.push({ condition: child, path: `${next.path}.${kind.case}.conditions[${index}]` });
    }
  }
  if (nodes > contractLimits.conditionNodes) {
    violations.add(path, `has ${nodes} nodes; ${contractLimits.conditionNodes} is the limit`);
  }
}

function checkMatch(match: Match, path: string, violations: Violations): void {
  violations.text(`${path}.attribute`, match.attribute, 256);
  violations.count(`${path}.values`, match.values.length, contractLimits.matchValues);
}
