import type { JsonValue } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { match } from "./attribute-test.js";
import { type Cases, holdsFor, MAX_CASES, onlyConstant, type Term, withoutSplits } from "./cases.js";
import type { OrderOperator } from "./comparison.js";
import { ALWAYS, all, type Formula, NEVER, not } from "./formula.js";
import { quote } from "./json.js";
import type { Place } from "./place.js";
import { compareVersion, mirrorVersionOperator, parseVersion, type Ternary } from "./sem-ver.js";
import type { Translator } from "./translator.js";

const TEST_OPERATORS = [
  "==",
  "===",
  "!=",
  "!==",
  "<",
  "<=",
  ">",
  ">=",
  "in",
  "!",
  "!!",
  "starts_with",
  "ends_with",
  "sem_ver",
] as const;

/** An operator whose result is true, false or, for the last three, null. */
export type TestOperator = (typeof TEST_OPERATORS)[number];

export function isTestOperator(operator: string): operator is TestOperator {
  return (TEST_OPERATORS as readonly string[]).includes(operator);
}

const UNKNOWN: Ternary = { holds: NEVER, known: NEVER };

/** When an operation is true, and when it is true or false and not null. */
export function translateTest(
  operator: TestOperator,
  argument: JsonValue,
  place: Place,
  translator: Translator,
): Ternary {
  switch (operator) {
    case "!":
      return certain(not(truthOfOne(argument, place, translator)));
    case "!!":
      return certain(truthOfOne(argument, place, translator));
    case "sem_ver":
      return testVersion(argument, place, translator);
    case "starts_with":
    case "ends_with":
      return testText(operator, argument, place, translator);
    default:
      return certain(compare(operator, argument, place, translator));
  }
}

function certain(holds: Formula): Ternary {
  return { holds, known: ALWAYS };
}

function truthOfOne(argument: JsonValue, place: Place, translator: Translator): Formula {
  if (!Array.isArray(argument)) return translator.truth(argument, place);
  return argument[0] === undefined ? NEVER : translator.truth(argument[0], place.element(0));
}

type CompareOperator = "==" | "===" | "!=" | "!==" | OrderOperator | "in";

function compare(operator: CompareOperator, argument: JsonValue, place: Place, translator: Translator): Formula {
  const operands = operandsOf(argument, place, translator);
  const [a, b, c] = operands;
  const isOrder = operator === "<" || operator === "<=" || operator === ">" || operator === ">=";
  if (a === undefined || b === undefined || operands.length > (isOrder ? 3 : 2)) {
    translator.refuse(place, `takes two arguments${isOrder ? ", or three to test what lies between" : ""}`);
    return NEVER;
  }
  const first = comparePair(operator, a, b, place, translator);
  return c === undefined ? first : all(first, comparePair(operator, b, c, place, translator));
}

function comparePair(operator: CompareOperator, a: Cases, b: Cases, place: Place, translator: Translator): Formula {
  if (a.length * b.length > MAX_CASES) {
    translator.refuse(place, `branches into more than ${MAX_CASES} cases`);
    return NEVER;
  }
  return holdsFor(a, (left) => holdsFor(b, (right) => compareTerms(operator, left, right, place, translator)));
}

function compareTerms(operator: CompareOperator, a: Term, b: Term, place: Place, translator: Translator): Formula {
  const { comparisons } = translator;
  switch (operator) {
    case "==":
      return comparisons.equal(a, b, false, place);
    case "!=":
      return not(comparisons.equal(a, b, false, place));
    case "===":
      return comparisons.equal(a, b, true, place);
    case "!==":
      return not(comparisons.equal(a, b, true, place));
    case "in":
      return comparisons.contained(a, b, place);
    default:
      return comparisons.order(operator, a, b, place);
  }
}

function testText(
  operator: "starts_with" | "ends_with",
  argument: JsonValue,
  place: Place,
  translator: Translator,
): Ternary {
  const [text, affix, ...more] = operandsOf(argument, place, translator);
  if (text === undefined || affix === undefined || more.length > 0)
    return refuseTest(place, "takes two arguments", translator);
  const value = onlyConstant(affix);
  if (value === undefined)
    return refuseTest(place, "compares with a value of the context instead of a constant", translator);
  if (typeof value !== "string") return UNKNOWN;
  const test = operator === "starts_with" ? Operator.STARTS_WITH : Operator.ENDS_WITH;
  const both = (onText: (name: string) => Formula, onConstant: (constant: string) => boolean): Formula =>
    holdsFor(text, (term) => {
      if (term.kind === "attribute") return onText(term.name);
      return term.kind === "constant" && typeof term.value === "string" && onConstant(term.value) ? ALWAYS : NEVER;
    });
  return {
    holds: both(
      (name) => match(name, test, [value]),
      (constant) => (operator === "starts_with" ? constant.startsWith(value) : constant.endsWith(value)),
    ),
    known: both(
      (name) => match(name, Operator.STARTS_WITH, [""]),
      () => true,
    ),
  };
}

function testVersion(argument: JsonValue, place: Place, translator: Translator): Ternary {
  const operands = operandsOf(argument, place, translator);
  if (operands.length !== 3) return refuseTest(place, "takes a version, an operator and a version", translator);
  const [left, middle, right] = operands.map((operand) => onlyTerm(operand)) as [OneTerm, OneTerm, OneTerm];
  if (middle?.kind !== "constant") return refuseTest(place, "needs a constant operator", translator);
  const attribute = left?.kind === "attribute" ? left : right;
  const constant = left?.kind === "attribute" ? right : left;
  if (attribute?.kind !== "attribute" || constant?.kind !== "constant") {
    return refuseTest(place, "compares an attribute with a constant version", translator);
  }
  translator.findings.warn(place, "flagd also reads a number as a version (1.2 as 1.2.0); here only text is a version");
  const version = parseVersion(constant.value);
  if (version === undefined) {
    translator.findings.warn(place, `${quote(constant.value)} is no semantic version, so nothing compares with it`);
    return UNKNOWN;
  }
  const operator = attribute === left ? middle.value : mirrorVersionOperator(middle.value);
  const test = compareVersion(attribute.name, operator, version);
  if (test !== undefined) return test;
  translator.findings.warn(place, `sem_ver has no operator ${quote(operator)}, so it is never true`);
  return UNKNOWN;
}

type OneTerm = Term | undefined;

function onlyTerm(cases: Cases): OneTerm {
  return cases.length === 1 ? cases[0]?.term : undefined;
}

function operandsOf(argument: JsonValue, place: Place, translator: Translator): readonly Cases[] {
  if (!Array.isArray(argument)) return [];
  return argument.map((operand, index) => withoutSplits(translator.cases(operand, place.element(index))));
}

function refuseTest(place: Place, description: string, translator: Translator): Ternary {
  translator.refuse(place, description);
  return UNKNOWN;
}
