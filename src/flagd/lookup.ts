import type { JsonValue } from "@bufbuild/protobuf";
import { type Condition, type Match, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { fromValue } from "../engine/index.js";

/** An `in` of flagd that looks a constant up in an attribute. */
export interface Lookup {
  readonly attribute: string;
  readonly needle: JsonValue;
}

/**
 * Recognises the two neighbours that such an `in` is imported as (see Comparisons), so that it is exported as it was, lists
 * included: in an `any`, equality beside a part of what can be hashed; in an `all`, equality beside what cannot.
 */
export function lookupOf(kind: "all" | "any", first: Condition, second: Condition | undefined): Lookup | undefined {
  const equality = singleMatch(first, Operator.IN);
  if (equality === undefined || second === undefined) return undefined;
  const [value] = equality.values;
  const needle = value === undefined ? undefined : fromValue(value);
  if (needle === undefined || needle === null || typeof needle === "object") return undefined;
  const { attribute } = equality;
  if (kind === "all") {
    const excluded = second.kind.case === "not" ? second.kind.value : undefined;
    return excluded !== undefined && isHashTest(excluded, attribute) ? { attribute, needle } : undefined;
  }
  const parts = second.kind.case === "all" ? second.kind.value.conditions : [];
  const [part, guard] = parts;
  if (part === undefined || guard === undefined || parts.length !== 2) return undefined;
  const contains = singleMatch(part, Operator.CONTAINS);
  const [contained] = contains?.values ?? [];
  if (contained === undefined || contains?.attribute !== attribute || fromValue(contained) !== needle) return undefined;
  return isHashTest(guard, attribute) ? { attribute, needle } : undefined;
}

/** Whether a condition holds exactly where an attribute can be hashed: the whole of a rollout. */
export function isHashTest({ kind }: Condition, attribute: string): boolean {
  if (kind.case !== "rollout") return false;
  const { start, weight, totalWeight, bucketBy } = kind.value;
  return start === 0 && weight === totalWeight && (bucketBy || "targetingKey") === attribute;
}

function singleMatch({ kind }: Condition, operator: Operator): Match | undefined {
  if (kind.case !== "match" || kind.value.operator !== operator || kind.value.ignoreCase) return undefined;
  return kind.value.values.length === 1 ? kind.value : undefined;
}
