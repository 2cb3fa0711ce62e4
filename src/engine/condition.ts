import { type Condition, type Match, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { RolloutCondition } from "../../gen/flagwire/v1/rollout_pb.js";
import { compileAttribute, NOW_ATTRIBUTE } from "./attribute.js";
import { boundOf, checkTotalWeight, compileHash } from "./bucket.js";
import type { CompiledCondition, CompiledSegment, TestContext } from "./compiled-condition.js";
import { intern } from "./intern.js";
import { engineLimits } from "./limits.js";
import { lookUpOf, testBoth } from "./look-up.js";
import { testAttribute } from "./match.js";
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
): CompiledCondition | undefined {
  scope.comparisons++;
  if (depth > engineLimits.conditionDepth) {
    scope.problems.add(path, `conditions are nested more than ${engineLimits.conditionDepth} levels deep`);
    return undefined;
  }
  const { kind } = condition;
  switch (kind.case) {
    case "all": {
      const conditions = compileList(kind.value.conditions, `${path}.all.conditions`, scope, depth);
      return conditions && { kind: "all", conditions, test: testAll(conditions) };
    }
    case "any": {
      const conditions = compileList(kind.value.conditions, `${path}.any.conditions`, scope, depth);
      return conditions && { kind: "any", conditions, test: testAny(conditions) };
    }
    case "not": {
      const negated = compileCondition(kind.value, `${path}.not`, scope, depth + 1);
      return negated && { kind: "not", condition: negated, test: testNot(negated) };
    }
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
): readonly CompiledCondition[] | undefined {
  const compiled: CompiledCondition[] = [];
  for (const [index, condition] of conditions.entries()) {
    const one = compileCondition(condition, `${path}[${index}]`, scope, depth + 1);
    if (one !== undefined) compiled.push(one);
  }
  return compiled.length === conditions.length ? compiled : undefined;
}

function testAll(conditions: readonly CompiledCondition[]): TestContext {
  const tests = conditions.map(({ test }) => test);
  const [first, second] = tests;
  if (tests.length === 1 && first !== undefined) return first;
  if (tests.length === 2 && first !== undefined && second !== undefined) {
    const inOrder: TestContext = (context, now) => first(context, now) && second(context, now);
    const [one, other] = conditions.map(lookUpOf);
    return one === undefined || other === undefined ? inOrder : testBoth(one, other, inOrder);
  }
  return (context, now) => {
    for (const test of tests) if (!test(context, now)) return false;
    return true;
  };
}

function testAny(conditions: readonly CompiledCondition[]): TestContext {
  const tests = conditions.map(({ test }) => test);
  const [first] = tests;
  if (tests.length === 1 && first !== undefined) return first;
  return (context, now) => {
    for (const test of tests) if (test(context, now)) return true;
    return false;
  };
}

function testNot({ test }: CompiledCondition): TestContext {
  return (context, now) => !test(context, now);
}

function compileMatch(match: Match, path: string, scope: ConditionScope): CompiledCondition | undefined {
  const attribute = intern(match.attribute);
  // IN is one look-up in a set.
  scope.comparisons += match.operator === Operator.IN ? 1 : match.values.length;
  if (attribute === NOW_ATTRIBUTE) scope.usesNow = true;
  if (attribute === "") scope.problems.add(`${path}.attribute`, "is required");
  const operator = compileOperator(match, path, scope.problems);
  if (operator === undefined || attribute === "") return undefined;
  const { compares, members } = operator;
  const read = compileAttribute(attribute);
  return { kind: "match", match, read, compares, members, test: testAttribute(attribute, read, operator) };
}

function compileReference(key: string, path: string, scope: ConditionScope): CompiledCondition | undefined {
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
  return { kind: "segment", key, segment, test: segment.contains };
}

function compileShare(rollout: RolloutCondition, path: string, scope: ConditionScope): CompiledCondition | undefined {
  const { start } = rollout;
  const total = rollout.totalWeight || DEFAULT_TOTAL_WEIGHT;
  const end = start + rollout.weight;
  const hash = compileHash(rollout, scope.salt, path, scope.problems);
  if (!checkTotalWeight(total, `${path}.total_weight`, scope.problems) || hash === undefined) return undefined;
  if (end > total) {
    scope.problems.add(`${path}.weight`, `start and weight end at ${end}, beyond the total ${total}`);
    return undefined;
  }
  const from = boundOf(start, total);
  const to = boundOf(end, total);
  const { hashContext } = hash;
  const test: TestContext = (context) => {
    const value = hashContext(context);
    return value !== undefined && value >= from && value < to;
  };
  return { kind: "rollout", hash, share: { start, end, total }, test };
}
