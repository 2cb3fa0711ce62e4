import type { Value } from "@bufbuild/protobuf/wkt";
import { type Match, Operator } from "../../../gen/flagwire/v1/condition_pb.js";
import type { Problems } from "../problem.js";
import { cidrOperator } from "./cidr.js";
import { compareVersion, readVersion, toSemVer } from "./semver.js";
import {
  type AcceptOrder,
  type CompiledOperator,
  type Literal,
  type LiteralError,
  type LiteralOperator,
  type TestRead,
  testRead,
} from "./test-value.js";
import { compileIn, contains, endsWith, patternOperator, startsWith, textOperator } from "./text.js";
import { timeOperator } from "./time.js";

/** Compiles all literals of a match. Undefined, with problems added under `path`, where one is wrong. */
type CompileLiterals = (literals: readonly Literal[], path: string, problems: Problems) => CompiledOperator | undefined;
const equal: AcceptOrder = (order) => order === 0;
const less: AcceptOrder = (order) => order < 0;
const lessOrEqual: AcceptOrder = (order) => order <= 0;
const greater: AcceptOrder = (order) => order > 0;
const greaterOrEqual: AcceptOrder = (order) => order >= 0;

const EXISTS: CompiledOperator = { test: undefined, compares: () => true };

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
export function compileOperator(match: Match, path: string, problems: Problems): CompiledOperator | undefined {
  const compile = compilerOf(match.operator, match.ignoreCase);
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
    if (match.values.length === 0) return EXISTS;
    problems.add(`${path}.values`, "exists takes no values");
    return undefined;
  }
  const literals = parseLiterals(match.values, `${path}.values`, problems);
  if (literals === undefined) return undefined;
  if (compile === undefined) return compileIn(literals, match.ignoreCase);
  return compile(literals, `${path}.values`, problems);
}

function compilerOf(operator: Operator, ignoreCase: boolean): CompileLiterals | undefined {
  switch (operator) {
    case Operator.CONTAINS:
      return compilerFor(textOperator(contains, ignoreCase));
    case Operator.STARTS_WITH:
      return compilerFor(textOperator(startsWith, ignoreCase));
    case Operator.ENDS_WITH:
      return compilerFor(textOperator(endsWith, ignoreCase));
    case Operator.MATCHES:
      return compilerFor(patternOperator(ignoreCase));
    case Operator.EQUAL:
      return compilerFor(numberOperator(equal));
    case Operator.LESS:
      return compilerFor(numberOperator(less));
    case Operator.LESS_OR_EQUAL:
      return compilerFor(numberOperator(lessOrEqual));
    case Operator.GREATER:
      return compilerFor(numberOperator(greater));
    case Operator.GREATER_OR_EQUAL:
      return compilerFor(numberOperator(greaterOrEqual));
    case Operator.BEFORE:
      return compilerFor(timeOperator(less));
    case Operator.AFTER:
      return compilerFor(timeOperator(greater));
    case Operator.SEMVER_EQUAL:
      return compilerFor(semVerOperator(equal));
    case Operator.SEMVER_LESS:
      return compilerFor(semVerOperator(less));
    case Operator.SEMVER_LESS_OR_EQUAL:
      return compilerFor(semVerOperator(lessOrEqual));
    case Operator.SEMVER_GREATER:
      return compilerFor(semVerOperator(greater));
    case Operator.SEMVER_GREATER_OR_EQUAL:
      return compilerFor(semVerOperator(greaterOrEqual));
    case Operator.IN_CIDR:
      return compilerFor(cidrOperator);
    default:
      return undefined;
  }
}

function compilerFor<T>({ join, compile }: LiteralOperator<T>): CompileLiterals {
  return (literals, path, problems) => {
    const tests: TestRead<T>[] = [];
    for (const [index, literal] of literals.entries()) {
      const test = compile(literal);
      if (typeof test === "function") tests.push(test);
      else problems.add(`${path}[${index}]`, test.error);
    }
    return tests.length === literals.length ? join(tests) : undefined;
  };
}

function numberOperator(accept: AcceptOrder): LiteralOperator<number> {
  return {
    join: (tests) => testRead((value) => (typeof value === "number" ? value : undefined), tests),
    compile: (literal): TestRead<number> | LiteralError => {
      if (typeof literal === "number") return (attribute) => accept(attribute - literal);
      return { error: `is a ${typeof literal}, but the operator compares numbers` };
    },
  };
}

function semVerOperator(accept: AcceptOrder): LiteralOperator<string> {
  return {
    join: (tests) => testRead(readVersion, tests),
    compile: (literal): TestRead<string> | LiteralError => {
      const version = toSemVer(literal);
      if (version !== undefined) return (attribute) => accept(compareVersion(attribute, version));
      return { error: "is not a semantic version such as 1.2.3" };
    },
  };
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
