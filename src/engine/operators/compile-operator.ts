import type { Value } from "@bufbuild/protobuf/wkt";
import { type Match, Operator } from "../../../gen/flagwire/v1/condition_pb.js";
import type { Problems } from "../problem.js";
import { compileCidr } from "./cidr.js";
import { compareSemVer, type SemVer, toSemVer } from "./semver.js";
import { anyOf, type TestValue } from "./test-value.js";
import { type CompareText, compileIn, compilePattern, compileText, contains, endsWith, startsWith } from "./text.js";
import { toEpochMs } from "./time.js";

type Literal = string | number | boolean;
/** A test for one literal, or what is wrong with it. */
type CompileLiteral = (literal: Literal) => TestValue | { readonly error: string };
/** Whether an attribute that compares so (negative: below the literal) matches. */
type AcceptOrder = (order: number) => boolean;

const equal: AcceptOrder = (order) => order === 0;
const less: AcceptOrder = (order) => order < 0;
const lessOrEqual: AcceptOrder = (order) => order <= 0;
const greater: AcceptOrder = (order) => order > 0;
const greaterOrEqual: AcceptOrder = (order) => order >= 0;

const CASE_OPERATORS: ReadonlySet<Operator> = new Set([
  Operator.IN,
  Operator.CONTAINS,
  Operator.STARTS_WITH,
  Operator.ENDS_WITH,
  Operator.MATCHES,
]);

/**
 * Compiles the operator of a match with its values. Whatever is wrong is added to `problems`, each value under its own
 * path, and undefined is returned.
 */
export function compileOperator(match: Match, path: string, problems: Problems): TestValue | undefined {
  const compile = compileLiteralFor(match.operator, match.ignoreCase);
  if (compile === undefined && match.operator !== Operator.IN && match.operator !== Operator.EXISTS) {
    const name =
      match.operator === Operator.UNSPECIFIED ? "is required" : `${match.operator} is not known to this version`;
    problems.add(`${path}.operator`, name);
    return undefined;
  }
  if (match.ignoreCase && !CASE_OPERATORS.has(match.operator)) {
    problems.add(`${path}.ignore_case`, "only goes with in, contains, starts_with, ends_with and matches");
    return undefined;
  }
  if (match.operator === Operator.EXISTS) {
    if (match.values.length === 0) return () => true;
    problems.add(`${path}.values`, "exists takes no values");
    return undefined;
  }
  const literals = parseLiterals(match.values, `${path}.values`, problems);
  if (literals === undefined) return undefined;
  if (compile === undefined) return compileIn(literals, match.ignoreCase);
  const tests: TestValue[] = [];
  for (const [index, literal] of literals.entries()) {
    const test = compile(literal);
    if (typeof test === "function") tests.push(test);
    else problems.add(`${path}.values[${index}]`, test.error);
  }
  return tests.length === literals.length ? anyOf(tests) : undefined;
}

function compileLiteralFor(operator: Operator, ignoreCase: boolean): CompileLiteral | undefined {
  switch (operator) {
    case Operator.CONTAINS:
      return textLiteral(contains, ignoreCase);
    case Operator.STARTS_WITH:
      return textLiteral(startsWith, ignoreCase);
    case Operator.ENDS_WITH:
      return textLiteral(endsWith, ignoreCase);
    case Operator.MATCHES:
      return (literal) => (typeof literal === "string" ? compilePattern(literal, ignoreCase) : notA("string", literal));
    case Operator.EQUAL:
      return numberLiteral(equal);
    case Operator.LESS:
      return numberLiteral(less);
    case Operator.LESS_OR_EQUAL:
      return numberLiteral(lessOrEqual);
    case Operator.GREATER:
      return numberLiteral(greater);
    case Operator.GREATER_OR_EQUAL:
      return numberLiteral(greaterOrEqual);
    case Operator.BEFORE:
      return timeLiteral(less);
    case Operator.AFTER:
      return timeLiteral(greater);
    case Operator.SEMVER_EQUAL:
      return semVerLiteral(equal);
    case Operator.SEMVER_LESS:
      return semVerLiteral(less);
    case Operator.SEMVER_LESS_OR_EQUAL:
      return semVerLiteral(lessOrEqual);
    case Operator.SEMVER_GREATER:
      return semVerLiteral(greater);
    case Operator.SEMVER_GREATER_OR_EQUAL:
      return semVerLiteral(greaterOrEqual);
    case Operator.IN_CIDR:
      return cidrLiteral;
    default:
      return undefined;
  }
}

function textLiteral(compare: CompareText, ignoreCase: boolean): CompileLiteral {
  return (literal) =>
    typeof literal === "string" ? compileText(compare, literal, ignoreCase) : notA("string", literal);
}

function numberLiteral(accept: AcceptOrder): CompileLiteral {
  return (literal) => {
    if (typeof literal !== "number") return notA("number", literal);
    return (value) => typeof value === "number" && accept(value - literal);
  };
}

function timeLiteral(accept: AcceptOrder): CompileLiteral {
  return (literal) => {
    const moment = toEpochMs(literal);
    if (moment === undefined) return { error: "is neither an RFC 3339 time with a zone nor a number of milliseconds" };
    return (value) => {
      const attribute = toEpochMs(value);
      return attribute !== undefined && accept(attribute - moment);
    };
  };
}

function semVerLiteral(accept: AcceptOrder): CompileLiteral {
  return (literal) => {
    const version: SemVer | undefined = toSemVer(literal);
    if (version === undefined) return { error: "is not a semantic version such as 1.2.3" };
    return (value) => {
      const attribute = toSemVer(value);
      return attribute !== undefined && accept(compareSemVer(attribute, version));
    };
  };
}

const cidrLiteral: CompileLiteral = (literal) => {
  const test = typeof literal === "string" ? compileCidr(literal) : undefined;
  return test ?? { error: "is neither an IP address nor a block such as 10.0.0.0/8" };
};

function notA(type: string, literal: Literal): { readonly error: string } {
  return { error: `is a ${typeof literal}, but the operator compares ${type}s` };
}

function parseLiterals(values: readonly Value[], path: string, problems: Problems): readonly Literal[] | undefined {
  if (values.length === 0) {
    problems.add(path, "at least one value is required");
    return undefined;
  }
  const literals: Literal[] = [];
  for (const [index, { kind }] of values.entries()) {
    if (kind.case === "stringValue" || kind.case === "boolValue") literals.push(kind.value);
    else if (kind.case === "numberValue" && Number.isFinite(kind.value)) literals.push(kind.value);
    else problems.add(`${path}[${index}]`, "is not a string, a finite number or a boolean");
  }
  return literals.length === values.length ? literals : undefined;
}
