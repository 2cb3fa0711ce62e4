import type { Condition } from "../../gen/flagwire/v1/condition_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";

const NONE: ReadonlySet<string> = new Set();

/** The segments that a condition uses. */
export function segmentsOfCondition(condition: Condition | undefined): ReadonlySet<string> {
  if (condition === undefined) return NONE;
  const keys = new Set<string>();
  // A stack of our own: the condition may be nested deeper than the engine allows.
  const rest = [condition];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const { kind } = next;
    if (kind.case === "segment") keys.add(kind.value);
    else if (kind.case === "not") rest.push(kind.value);
    // One by one: a call takes only so many arguments.
    else if (kind.case === "all" || kind.case === "any") for (const child of kind.value.conditions) rest.push(child);
  }
  return keys;
}

/** The segments that a flag's rules use. */
export function segmentsOfTargeting(targeting: Targeting | undefined): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const rule of targeting?.rules ?? []) for (const key of segmentsOfCondition(rule.condition)) keys.add(key);
  return keys.size === 0 ? NONE : keys;
}

/** The flags that a flag requires. */
export function prerequisitesOf(targeting: Targeting | undefined): ReadonlySet<string> {
  if (targeting === undefined || targeting.prerequisites.length === 0) return NONE;
  return new Set(targeting.prerequisites.map((prerequisite) => prerequisite.flagKey));
}
