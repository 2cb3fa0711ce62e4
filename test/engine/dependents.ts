import type { Condition } from "../../gen/flagwire/v1/condition_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { keyOf } from "./arbitraries.js";

/** What an item uses, named as keyOf does. */
function usedBy({ kind }: WatchItem): string[] {
  if (kind.case === "segment") return segmentsIn(kind.value.condition);
  if (kind.case !== "flag") return [];
  const { prerequisites = [], rules = [] } = kind.value.targeting ?? {};
  return [
    ...prerequisites.map(({ flagKey }) => `flag ${flagKey}`),
    ...rules.flatMap(({ condition }) => segmentsIn(condition)),
  ];
}

function segmentsIn(condition: Condition | undefined): string[] {
  const { kind } = condition ?? { kind: { case: undefined } };
  switch (kind.case) {
    case "all":
    case "any":
      return kind.value.conditions.flatMap(segmentsIn);
    case "not":
      return segmentsIn(kind.value);
    case "segment":
      return [`segment ${kind.value}`];
    default:
      return [];
  }
}

/** The items that use one, directly or through others, and it itself; named as keyOf does. */
export function dependentsOf(item: WatchItem, items: readonly WatchItem[]): ReadonlySet<string> {
  const found = new Set([keyOf(item)]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const other of items) if (usedBy(other).some((used) => found.has(used))) found.add(keyOf(other));
  }
  return found;
}
