import { type Condition, Operator } from "../../../gen/flagwire/v1/condition_pb.js";

/**
 * Whether a condition plainly holds for everyone who has a targeting key, as do the rules that a flagd file's last branch or
 * `fractional` comes in as. A condition that holds for everyone in another way is not noticed.
 */
export function holdsForEveryone(condition: Condition | undefined): boolean {
  const kind = condition?.kind;
  switch (kind?.case) {
    case "all":
      return kind.value.conditions.every(holdsForEveryone);
    case "rollout": {
      const { weight, totalWeight, bucketBy } = kind.value;
      return weight === (totalWeight || 100_000) && bucketBy === "";
    }
    case "match": {
      const { attribute, operator, values } = kind.value;
      const isAnyText = operator === Operator.STARTS_WITH && values.some(({ kind: value }) => value.value === "");
      return attribute === "targetingKey" && (isAnyText || operator === Operator.EXISTS);
    }
    default:
      return false;
  }
}
