import type { JsonValue } from "@bufbuild/protobuf";
import { type Condition, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { RolloutCondition } from "../../gen/flagwire/v1/rollout_pb.js";
import { TARGETING_KEY } from "./attribute-test.js";
import { toBucketTest } from "./bucket-test.js";
import type { ExportScope } from "./export-scope.js";
import { allOf, anyOf, noneOf } from "./logic.js";
import { lookupOf } from "./lookup.js";
import type { Place } from "./place.js";
import { toFlagdMatch } from "./to-match.js";

const DEFAULT_TOTAL_WEIGHT = 100_000;

/** A condition in JsonLogic. */
export function toFlagdCondition(condition: Condition, place: Place, scope: ExportScope): JsonValue {
  const { kind } = condition;
  if (!scope.fits(place, 1)) return false;
  switch (kind.case) {
    case "all":
      return allOf(toFlagdList("all", kind.value.conditions, place, scope));
    case "any":
      return anyOf(toFlagdList("any", kind.value.conditions, place, scope));
    case "not":
      return noneOf(toFlagdCondition(kind.value, place.member("not"), scope));
    case "match":
      return toFlagdMatch(kind.value, place.member("match"), scope);
    case "segment":
      return toSegmentTest(kind.value, place.member("segment"), scope);
    case "rollout":
      return toShareTest(kind.value, place.member("rollout"), scope);
    case undefined:
      return scope.leave(place, "is of a kind that this version does not know");
  }
}

function toFlagdList(
  kind: "all" | "any",
  conditions: readonly Condition[],
  place: Place,
  scope: ExportScope,
): readonly JsonValue[] {
  const list = place.member(kind).member("conditions");
  const tests: JsonValue[] = [];
  let inside = scope;
  for (let index = 0; index < conditions.length; index++) {
    const condition = conditions[index];
    if (condition === undefined) continue;
    const at = list.element(index);
    const lookup = lookupOf(kind, condition, conditions[index + 1]);
    if (lookup === undefined) {
      tests.push(toFlagdCondition(condition, at, inside));
    } else {
      tests.push({ in: [lookup.needle, scope.variable(lookup.attribute, at)] });
      index++;
    }
    // Only what comes after: flagd evaluates in order.
    if (kind === "all") inside = inside.withText(textAttributesOf(condition));
  }
  return tests;
}

const TEXT_OPERATORS: readonly Operator[] = [
  Operator.STARTS_WITH,
  Operator.ENDS_WITH,
  Operator.CONTAINS,
  Operator.SEMVER_EQUAL,
  Operator.SEMVER_LESS,
  Operator.SEMVER_LESS_OR_EQUAL,
  Operator.SEMVER_GREATER,
  Operator.SEMVER_GREATER_OR_EQUAL,
];

/** The attributes that are text wherever a condition holds. */
export function textAttributesOf({ kind }: Condition): readonly string[] {
  if (kind.case === "all") return kind.value.conditions.flatMap((part) => textAttributesOf(part));
  if (kind.case !== "match" || !TEXT_OPERATORS.includes(kind.value.operator)) return [];
  return [kind.value.attribute];
}

function toSegmentTest(key: string, place: Place, scope: ExportScope): JsonValue {
  const segment = scope.source.segment(key);
  if (segment === undefined || scope.segmentKeys.has(key)) {
    return scope.leave(place, `the segment ${JSON.stringify(key)} is missing or uses itself`);
  }
  const { included, excluded, condition } = segment;
  if (!scope.fits(place, included.length + excluded.length)) return false;
  const others = condition
    ? toFlagdCondition(condition, place.member(key).member("condition"), scope.inSegment(key))
    : false;
  return anyOf([isListed(included), allOf([noneOf(isListed(excluded)), others])]);
}

/** Whether the targeting key is one of these. An empty one is none here. */
export function isListed(targetingKeys: readonly string[]): JsonValue {
  const keys = targetingKeys.filter((key) => key !== "");
  return keys.length === 0 ? false : { in: [{ var: TARGETING_KEY }, keys] };
}

function toShareTest(share: RolloutCondition, place: Place, scope: ExportScope): JsonValue {
  const total = share.totalWeight || DEFAULT_TOTAL_WEIGHT;
  const after = total - share.start - share.weight;
  const parts = [
    { holds: false, weight: share.start },
    { holds: true, weight: share.weight },
    { holds: false, weight: after },
  ];
  return toBucketTest(share, parts, place, scope);
}
