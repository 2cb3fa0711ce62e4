import { type Condition, type Match, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { RolloutCondition } from "../../gen/flagwire/v1/rollout_pb.js";
import { compileAttribute, NOW_ATTRIBUTE, toAttributeValue } from "./attribute.js";
import { checkTotalWeight, compileHash, hashesBelow } from "./bucket.js";
import type { CompiledSegment, TestContext } from "./compiled-segment.js";
import { engineLimits } from "./limits.js";
import { compileOperator } from "./operators/compile-operator.js";
import type { Problems } from "./problem.js";

/** Where a condition stands, and what compiling it adds up. */
export interface ConditionScope {
  /** The salt of rollouts that set none: the key of the flag or segment. */
  readonly salt: string;
  readonly segment: (key: string) => CompiledSegment | undefined;
  readonly problems: Problems;
  /** Set to true by a condition whose answer depends on the time. */
  usesNow: boolean;
  /** Increased by the comparisons that testing may need. */
  comparisons: number;
}

const DEFAULT_TOTAL_WEIGHT = 100_000;

/** Compiles a condition. Undefined, with problems added, where it is malformed. */
export function compileCondition(
  condition: Condition,
  path: string,
  scope: ConditionScope,
  depth = 1,
): TestContext | undefined {
  scope.comparisons++;
  if (depth > engineLimits.conditionDepth) {
    scope.problems.add(path, `conditions are nested more than ${engineLimits.conditionDepth} levels deep`);
    return undefined;
  }
  const { kind } = condition;
  switch (kind.case) {
    case "all":
      return all(compileList(kind.value.conditions, `${path}.all.conditions`, scope, depth));
    case "any":
      return any(compileList(kind.value.conditions, `${path}.any.conditions`, scope, depth));
    case "not":
      return not(compileCondition(kind.value, `${path}.not`, scope, depth + 1));
    case "match":
      return compileMatch(kind.value, `${path}.match`, scope);
    case "segment":
      return compileReference(kind.value, `${path}.segment`, scope);
    case "rollout":
      return compileShare(kind.value, `${path}.rollout`, scope);
    case undefined:
      scope.problems.add(path, "must be one of all, any, not, match, segment and rollout");
      return undefined;
  }
}

function compileList(
  conditions: readonly Condition[],
  path: string,
  scope: ConditionScope,
  depth: number,
): readonly TestContext[] | undefined {
  const tests: TestContext[] = [];
  for (const [index, condition] of conditions.entries()) {
    const test = compileCondition(condition, `${path}[${index}]`, scope, depth + 1);
    if (test !== undefined) tests.push(test);
  }
  return tests.length === conditions.length ? tests : undefined;
}

function all(tests: readonly TestContext[] | undefined): TestContext | undefined {
  if (tests === undefined || tests.length === 1) return tests?.[0];
  const [first, second] = tests;
  if (tests.length === 2 && first !== undefined && second !== undefined) {
    return (context, now) => first(context, now) && second(context, now);
  }
  return (context, now) => {
    for (const test of tests) if (!test(context, now)) return false;
    return true;
  };
}

function any(tests: readonly TestContext[] | undefined): TestContext | undefined {
  if (tests === undefined || tests.length === 1) return tests?.[0];
  return (context, now) => {
    for (const test of tests) if (test(context, now)) return true;
    return false;
  };
}

function not(test: TestContext | undefined): TestContext | undefined {
  return test && ((context, now) => !test(context, now));
}

function compileMatch(match: Match, path: string, scope: ConditionScope): TestContext | undefined {
  // IN is one look-up in a set.
  scope.comparisons += match.operator === Operator.IN ? 1 : match.values.length;
  if (match.attribute === NOW_ATTRIBUTE) scope.usesNow = true;
  if (match.attribute === "") scope.problems.add(`${path}.attribute`, "is required");
  const test = compileOperator(match, path, scope.problems);
  if (test === undefined || match.attribute === "") return undefined;
  const read = compileAttribute(match.attribute);
  if (match.values.length === 0) return (context, now) => read(context, now) !== undefined;
  return (context, now) => {
    const value = read(context, now);
    if (value === undefined) return false;
    if (!Array.isArray(value)) return test(value);
    for (const element of value) {
      const comparable = toAttributeValue(element);
      if (comparable !== undefined && test(comparable)) return true;
    }
    return false;
  };
}

function compileReference(key: string, path: string, scope: ConditionScope): TestContext | undefined {
  const segment = scope.segment(key);
  if (segment === undefined) {
    scope.problems.add(path, key === "" ? "is required" : `there is no segment ${JSON.stringify(key)}`);
    return undefined;
  }
  if (segment.problems.length > 0) {
    scope.problems.add(path, `segment ${JSON.stringify(key)} is malformed: ${segment.problems[0]?.description}`);
    return undefined;
  }
  scope.usesNow ||= segment.usesNow;
  scope.comparisons += segment.comparisons;
  return segment.contains;
}

function compileShare(share: RolloutCondition, path: string, scope: ConditionScope): TestContext | undefined {
  const total = share.totalWeight || DEFAULT_TOTAL_WEIGHT;
  const hash = compileHash(share, scope.salt, path, scope.problems);
  if (!checkTotalWeight(total, `${path}.total_weight`, scope.problems) || hash === undefined) return undefined;
  if (share.start + share.weight > total) {
    scope.problems.add(
      `${path}.weight`,
      `start and weight end at ${share.start + share.weight}, beyond the total ${total}`,
    );
    return undefined;
  }
  const from = hashesBelow(share.start, total);
  const to = hashesBelow(share.start + share.weight, total);
  return (context) => {
    const value = hash(context);
    return value >= from && value < to;
  };
}
