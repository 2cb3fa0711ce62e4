import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import { targetingKey } from "./attribute.js";
import type { CompiledCondition, CompiledSegment, TestContext } from "./compiled-condition.js";
import { type ConditionScope, compileCondition } from "./condition.js";
import { engineLimits } from "./limits.js";
import { Problems } from "./problem.js";

/** What a segment is compiled among: the segments that it uses, compiled before it. */
export interface SegmentScope {
  readonly segment: (key: string) => CompiledSegment | undefined;
  /** The keys that it uses. */
  readonly uses: ReadonlySet<string>;
  /** Whether it uses itself, directly or through others. */
  readonly inCycle: boolean;
}

/** Compiles a segment. Never throws. */
export function compileSegment(segment: Segment, scope: SegmentScope): CompiledSegment {
  const problems = new Problems();
  if (scope.inCycle) {
    problems.add("segment.condition", `segment ${JSON.stringify(segment.key)} uses itself, directly or through others`);
    return malformedSegment(problems);
  }
  let depth = 1;
  for (const key of scope.uses) depth = Math.max(depth, 1 + (scope.segment(key)?.depth ?? 0));
  if (depth > engineLimits.segmentDepth) {
    problems.add("segment.condition", `segments use segments more than ${engineLimits.segmentDepth} levels deep`);
    return malformedSegment(problems);
  }
  const inner: ConditionScope = {
    salt: segment.key,
    segment: scope.segment,
    problems,
    usesNow: false,
    comparisons: 2,
  };
  const condition = segment.condition && compileCondition(segment.condition, "segment.condition", inner);
  checkComparisons(inner.comparisons, "segment.condition", problems);
  if (problems.list.length > 0) return malformedSegment(problems);
  const included = segment.included.length === 0 ? NO_KEYS : new Set(segment.included);
  const excluded = segment.excluded.length === 0 ? NO_KEYS : new Set(segment.excluded);
  return {
    contains: testMembership(included, excluded, condition),
    included,
    excluded,
    condition,
    usesNow: inner.usesNow,
    comparisons: inner.comparisons,
    depth,
    problems: [],
  };
}

/** Adds a problem where one evaluation could need more comparisons than the engine allows. */
export function checkComparisons(comparisons: number, path: string, problems: Problems): void {
  if (comparisons <= engineLimits.comparisons) return;
  problems.add(path, `an evaluation could need ${comparisons} comparisons; ${engineLimits.comparisons} is the limit`);
}

function testMembership(
  included: ReadonlySet<string>,
  excluded: ReadonlySet<string>,
  condition: CompiledCondition | undefined,
): TestContext {
  const test = condition?.test ?? nobody;
  if (included.size === 0 && excluded.size === 0) return test;
  return (context, now) => {
    const key = targetingKey(context);
    if (key !== undefined) {
      if (included.has(key)) return true;
      if (excluded.has(key)) return false;
    }
    return test(context, now);
  };
}

const nobody: TestContext = () => false;
const NO_KEYS: ReadonlySet<string> = new Set();

function malformedSegment(problems: Problems): CompiledSegment {
  return {
    contains: nobody,
    included: NO_KEYS,
    excluded: NO_KEYS,
    condition: undefined,
    usesNow: false,
    comparisons: 0,
    depth: 1,
    problems: problems.list,
  };
}
