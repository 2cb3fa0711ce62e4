import type { JsonValue } from "@bufbuild/protobuf";
import { type Match, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { fromValue, toMoment } from "../engine/index.js";
import { type Literal, SOME_TEXT, TARGETING_KEY } from "./attribute-test.js";
import { VERSIONS_WARNING } from "./common-warnings.js";
import type { ExportScope } from "./export-scope.js";
import { allOf, anyOf } from "./logic.js";
import type { Place } from "./place.js";
import { parseVersion } from "./sem-ver.js";
import { toCaselessTest } from "./to-caseless-test.js";

const ORDER: Partial<Record<Operator, "<" | "<=" | ">" | ">=">> = {
  [Operator.LESS]: "<",
  [Operator.LESS_OR_EQUAL]: "<=",
  [Operator.GREATER]: ">",
  [Operator.GREATER_OR_EQUAL]: ">=",
};

const VERSION: Partial<Record<Operator, string>> = {
  [Operator.SEMVER_EQUAL]: "=",
  [Operator.SEMVER_LESS]: "<",
  [Operator.SEMVER_LESS_OR_EQUAL]: "<=",
  [Operator.SEMVER_GREATER]: ">",
  [Operator.SEMVER_GREATER_OR_EQUAL]: ">=",
};

/** A match in JsonLogic. flagd coerces where we do not, so whatever it would coerce is excluded. */
export function toFlagdMatch(match: Match, place: Place, scope: ExportScope): JsonValue {
  if (!scope.fits(place, match.values.length)) return false;
  const values = match.values.map((value) => fromValue(value) as JsonValue);
  if (match.attribute === "$now") return toTimestampTest(match.operator, values, place, scope);
  const value = scope.variable(match.attribute, place);
  const isText = match.attribute === TARGETING_KEY || scope.textAttributes.has(match.attribute);
  if (match.ignoreCase) {
    const others = values.filter((other) => typeof other !== "string");
    const texts = values.filter((other) => typeof other === "string");
    const test = anyOf(texts.map((text) => toCaselessTest(match.operator, value, text, place, scope)));
    return anyOf([
      others.length === 0 ? false : testFor(match.operator, value, others, isText, place, scope),
      // The targeting key is text or missing, and nothing that is missing has parts.
      ifText(value, scope.textAttributes.has(match.attribute), test),
    ]);
  }
  return testFor(match.operator, value, values, isText, place, scope);
}

function testFor(
  operator: Operator,
  value: JsonValue,
  values: readonly JsonValue[],
  isText: boolean,
  place: Place,
  scope: ExportScope,
): JsonValue {
  const order = ORDER[operator];
  if (order !== undefined) return anyOf(values.map((limit) => toOrder(order, value, Number(limit))));
  const version = VERSION[operator];
  if (version !== undefined) return toVersionTest(version, value, values, isText, place, scope);
  switch (operator) {
    case Operator.EXISTS:
      return { "!==": [value, null] };
    case Operator.IN:
    case Operator.EQUAL:
      return toMembership(value, values, isText);
    case Operator.STARTS_WITH:
      return ifThere(value, isText, anyOf(values.map((affix) => ({ starts_with: [value, affix] }))));
    case Operator.ENDS_WITH:
      return ifThere(value, isText, anyOf(values.map((affix) => ({ ends_with: [value, affix] }))));
    case Operator.CONTAINS:
      return ifText(
        value,
        isText,
        anyOf(values.map((part) => (part === "" ? textTest(value) : { in: [part, value] }))),
      );
    case Operator.MATCHES:
      if (values.includes(SOME_TEXT)) return allOf([textTest(value), { "!==": [value, ""] }]);
      return scope.leave(place, "flagd has no regular expressions");
    default:
      return scope.leave(place, `flagd has nothing like ${Operator[operator] ?? operator}`);
  }
}

/** Whether a value is text: starts_with is null for everything else. */
function textTest(value: JsonValue, isThere = false): JsonValue {
  return ifThere(value, isThere, { starts_with: [value, ""] });
}

/** Where there is no value, operators of text give the right answer too, but flagd's evaluation in Go logs an error with each. */
function ifThere(value: JsonValue, isThere: boolean, test: JsonValue): JsonValue {
  return isThere || test === false ? test : allOf([{ "!==": [value, null] }, test]);
}

function ifText(value: JsonValue, isText: boolean, test: JsonValue): JsonValue {
  return isText || test === false ? test : allOf([textTest(value), test]);
}

// `===` compares types too. `in` does so but for numbers looked up among texts or booleans, in Go.
function toMembership(value: JsonValue, values: readonly JsonValue[], isText: boolean): JsonValue {
  const equal = (other: JsonValue): JsonValue => ({ "===": [value, other] });
  if (values.length === 1) return equal(values[0] ?? null);
  const texts = values.filter((other) => typeof other === "string");
  const numbers = values.filter((other) => typeof other === "number");
  const booleans = values.filter((other) => typeof other === "boolean");
  const tests = booleans.map(equal);
  if (numbers.length > 0) tests.unshift(numbers.length === 1 ? equal(numbers[0] ?? 0) : { in: [value, numbers] });
  const first = texts[0];
  if (texts.length === 1 && first !== undefined) tests.unshift(equal(first));
  else if (texts.length > 1) tests.unshift(ifText(value, isText, { in: [value, texts] }));
  return anyOf(tests);
}

// Missing counts as 0 in flagd, a boolean as 0 or 1, and text as the number in it.
function toOrder(operator: "<" | "<=" | ">" | ">=", value: JsonValue, limit: number): JsonValue {
  const holds = (other: number): boolean => {
    if (operator === "<") return other < limit;
    if (operator === "<=") return other <= limit;
    return operator === ">" ? other > limit : other >= limit;
  };
  const tests: JsonValue[] = [];
  if (holds(0)) tests.push({ "!==": [value, null] }, { "!==": [value, false] });
  if (holds(1)) tests.push({ "!==": [value, true] });
  tests.push({ "!": [textTest(value, holds(0))] }, { [operator]: [value, limit] });
  return allOf(tests);
}

function toVersionTest(
  operator: string,
  value: JsonValue,
  values: readonly JsonValue[],
  isText: boolean,
  place: Place,
  scope: ExportScope,
): JsonValue {
  scope.findings.warn(place, VERSIONS_WARNING);
  const tests = values.map((other, index): JsonValue => {
    const version = parseVersion(other);
    if (version !== undefined) return { sem_ver: [value, operator, version.text] };
    return scope.leave(place.member("values").element(index), "is no version in flagd");
  });
  return ifText(value, isText, anyOf(tests));
}

const SECONDS_PER_DAY = 86_400;

// flagd's timestamp has whole seconds. Before a whole second, and from it on, is exact.
function toTimestampTest(
  operator: Operator,
  values: readonly JsonValue[],
  place: Place,
  scope: ExportScope,
): JsonValue {
  const isBefore = [Operator.LESS, Operator.LESS_OR_EQUAL, Operator.BEFORE].includes(operator);
  const isAfter = [Operator.GREATER, Operator.GREATER_OR_EQUAL, Operator.AFTER].includes(operator);
  if (!isBefore && !isAfter) return scope.leave(place, `flagd's timestamp has nothing like ${Operator[operator]}`);
  if (operator !== Operator.LESS && operator !== Operator.GREATER_OR_EQUAL && operator !== Operator.BEFORE) {
    scope.findings.warn(place, "flagd knows the time to the second, so the very first millisecond counts otherwise");
  }
  const tests = values.map((value, index): JsonValue => {
    const moment = toMoment(value as Literal);
    if (moment === undefined || moment.fraction !== "") {
      return scope.leave(place.member("values").element(index), "flagd knows the time to the second only");
    }
    const seconds = moment.day * SECONDS_PER_DAY + moment.second;
    return { [isBefore ? "<" : ">="]: [{ var: "$flagd.timestamp" }, seconds] };
  });
  return anyOf(tests);
}
