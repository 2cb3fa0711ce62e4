import type { Prerequisite, Rule, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { targetingKey } from "./attribute.js";
import type { CompiledCondition, CompiledSegment } from "./compiled-condition.js";
import type {
  Choice,
  CompiledPrerequisite,
  CompiledRule,
  CompiledServe,
  FlagEntry,
  FlagPlan,
  SelectOutcome,
} from "./compiled-flag.js";
import { type ConditionScope, compileCondition } from "./condition.js";
import { engineLimits } from "./limits.js";
import type { CountedOutcome } from "./outcome.js";
import { OutcomeMaker } from "./outcome-maker.js";
import { type Problem, Problems } from "./problem.js";
import { selectByRules } from "./rules.js";
import { checkComparisons } from "./segment.js";
import { compileServe, constantChoice } from "./serve.js";

/** What a flag is compiled among, compiled before it. */
export interface FlagScope {
  readonly flag: (key: string) => FlagEntry | undefined;
  readonly segment: (key: string) => CompiledSegment | undefined;
  /** Whether it requires itself, directly or through others. */
  readonly inCycle: boolean;
}

/** Compiles a flag with its targeting in one environment. Never throws: a malformed one says so in every answer. */
export function compileFlag(key: string, state: FlagState, scope: FlagScope): FlagEntry {
  const problems = new Problems();
  if (!state.flag) problems.add("flag", "is required");
  const outcomes = new OutcomeMaker(key, state.flag, problems);
  const compilation = new FlagCompilation(outcomes, state.targeting, scope, problems);
  const plan = compilation.plan();
  const select = compilation.select(plan);
  const type = state.flag?.type ?? 0;
  const { targeting } = state;
  if (problems.list.length > 0) {
    const selectKilled = targeting?.killed !== undefined && offIsSound(problems.list) ? select : undefined;
    return malformedFlag({ key, type, problems: problems.list, outcomes, plan, selectKilled });
  }
  return {
    key,
    type,
    select,
    usesNow: compilation.conditions.usesNow,
    problems: [],
    tallies: outcomes.tallies,
    active: targeting?.enabled === true && targeting.killed === undefined,
    comparisons: compilation.conditions.comparisons,
    depth: compilation.depth,
    plan,
  };
}

/** The panic button works on a flag whose rules cannot be understood, as long as what it then answers can. */
function offIsSound(problems: readonly Problem[]): boolean {
  return !problems.some(({ field }) => field.startsWith("flag") || field === "targeting.off_variant");
}

interface MalformedParts extends Pick<FlagEntry, "key" | "type" | "problems" | "plan"> {
  readonly outcomes: OutcomeMaker;
  /** What it answers while it is killed all the same. */
  readonly selectKilled: SelectOutcome | undefined;
}

function malformedFlag({ outcomes, selectKilled, ...parts }: MalformedParts): FlagEntry {
  const error = outcomes.error("MALFORMED_FLAG", describeMalformed(parts.key, parts.problems));
  const select = selectKilled ?? constantChoice(error).select;
  return { ...parts, select, usesNow: false, tallies: outcomes.tallies, active: false, comparisons: 0, depth: 1 };
}

/**
 * Only where the first problem is. Answers go to callers who must not see rules, and the description of a problem may quote
 * any value of one; variants, of which they know their own only, stand in brackets. An explanation tells all problems.
 */
function describeMalformed(key: string, [first]: readonly Problem[]): string {
  const place = first?.field.replace(/\[".*$/s, "") ?? "flag";
  return `the flag ${JSON.stringify(key)} is malformed: see ${place} in an explanation`;
}

/** One run of the compiler over one flag. */
class FlagCompilation {
  readonly conditions: ConditionScope;
  depth = 1;

  constructor(
    readonly outcomes: OutcomeMaker,
    readonly targeting: Targeting | undefined,
    readonly scope: FlagScope,
    readonly problems: Problems,
  ) {
    const salt = outcomes.flagKey;
    this.conditions = { salt, segment: scope.segment, problems, usesNow: false, comparisons: 0 };
  }

  // Every part is compiled even where an earlier one already decides, so that a flag that is off has no hidden problems.
  plan(): FlagPlan {
    const { targeting } = this;
    if (targeting === undefined) return NO_PLAN;
    if (targeting.offVariant !== "") {
      this.outcomes.checkVariant(targeting.offVariant, "targeting.off_variant", this.problems);
    }
    const prerequisites = this.#prerequisites(targeting);
    const targets = this.#targets(targeting);
    const rules = this.#rules(targeting.rules);
    const fallback = this.#default(targeting);
    checkComparisons(this.conditions.comparisons, "targeting", this.problems);
    return { targeting, prerequisites, targets, rules, fallback };
  }

  select(plan: FlagPlan): SelectOutcome {
    const { targeting, outcomes } = this;
    if (targeting?.killed !== undefined) return constantChoice(outcomes.variant(targeting.offVariant, "KILLED")).select;
    if (!targeting?.enabled) return constantChoice(outcomes.variant(targeting?.offVariant ?? "", "DISABLED")).select;
    return inOrder(plan, plan.fallback ?? constantChoice(outcomes.variant("", "DEFAULT")));
  }

  #prerequisites(targeting: Targeting): readonly CompiledPrerequisite[] {
    if (this.scope.inCycle) {
      this.problems.add("targeting.prerequisites", "the flag requires itself, directly or through others");
      return [];
    }
    const compiled = targeting.prerequisites.map((prerequisite, index) =>
      this.#prerequisite(prerequisite, `targeting.prerequisites[${index}]`, targeting.offVariant),
    );
    if (this.depth > engineLimits.prerequisiteDepth) {
      const limit = engineLimits.prerequisiteDepth;
      this.problems.add("targeting.prerequisites", `flags require flags more than ${limit} levels deep`);
    }
    return compiled;
  }

  // A missing flag is no problem of this one's: it fails, as one does that was deleted meanwhile.
  #prerequisite(source: Prerequisite, path: string, offVariant: string): CompiledPrerequisite {
    const { flagKey } = source;
    if (flagKey === "") this.problems.add(`${path}.flag_key`, "is required");
    if (source.variants.length === 0) this.problems.add(`${path}.variants`, "at least one variant is required");
    const failure = this.outcomes.variant(offVariant, "PREREQUISITE_FAILED", { prerequisiteKey: flagKey });
    const accepted = new Set(source.variants);
    const flag = this.scope.flag(flagKey);
    if (flag === undefined) return { source, flag, accepted, selectFailure: () => failure };
    // Counted even where the other flag is off: turning it on must not make this one malformed.
    this.depth = Math.max(this.depth, 1 + flag.depth);
    this.conditions.comparisons += 1 + flag.comparisons;
    if (!flag.active) return { source, flag, accepted, selectFailure: () => failure };
    this.conditions.usesNow ||= flag.usesNow;
    const selectFailure: CompiledPrerequisite["selectFailure"] = (context, now) => {
      const { variant } = flag.select(context, now);
      return variant !== undefined && accepted.has(variant) ? undefined : failure;
    };
    return { source, flag, accepted, selectFailure };
  }

  #targets(targeting: Targeting): ReadonlyMap<string, CountedOutcome> {
    if (targeting.targets.length === 0) return NO_TARGETS;
    const byKey = new Map<string, CountedOutcome>();
    for (const [index, target] of targeting.targets.entries()) {
      const path = `targeting.targets[${index}]`;
      if (target.targetingKeys.length === 0)
        this.problems.add(`${path}.targeting_keys`, "at least one key is required");
      if (!this.outcomes.checkVariant(target.variant, `${path}.variant`, this.problems)) continue;
      const outcome = this.outcomes.variant(target.variant, "TARGETING_MATCH");
      for (const key of target.targetingKeys) if (!byKey.has(key)) byKey.set(key, outcome);
    }
    return byKey;
  }

  #rules(rules: readonly Rule[]): readonly CompiledRule[] {
    const compiled: CompiledRule[] = [];
    const ids = new Set<string>();
    for (const [index, rule] of rules.entries()) {
      const path = `targeting.rules[${index}]`;
      if (rule.id === "") this.problems.add(`${path}.id`, "is required");
      else if (ids.has(rule.id)) this.problems.add(`${path}.id`, `another rule has the id ${JSON.stringify(rule.id)}`);
      ids.add(rule.id);
      const condition = this.#condition(rule, path);
      const serve = this.#serve(rule, path);
      if (condition !== undefined && serve !== undefined) compiled.push({ source: rule, condition, serve });
    }
    return compiled;
  }

  #condition(rule: Rule, path: string): CompiledCondition | undefined {
    if (rule.condition) return compileCondition(rule.condition, `${path}.condition`, this.conditions);
    this.problems.add(`${path}.condition`, 'is required; {"all": {}} holds for everyone');
    return undefined;
  }

  #serve(rule: Rule, path: string): CompiledServe | undefined {
    if (rule.serve) {
      const reasons = { variant: "TARGETING_MATCH", ruleId: rule.id } as const;
      return compileServe(rule.serve, `${path}.serve`, reasons, this.outcomes, this.problems);
    }
    this.problems.add(`${path}.serve`, "is required");
    return undefined;
  }

  #default(targeting: Targeting): CompiledServe | undefined {
    const isStatic =
      targeting.prerequisites.length === 0 && targeting.targets.length === 0 && targeting.rules.length === 0;
    if (!targeting.default) return undefined;
    const reasons = { variant: isStatic ? "STATIC" : "DEFAULT", ruleId: undefined } as const;
    return compileServe(targeting.default, "targeting.default", reasons, this.outcomes, this.problems);
  }
}

/** One for all flags without targets: an empty map takes as much memory as a small one. */
const NO_TARGETS: ReadonlyMap<string, CountedOutcome> = new Map();

const NO_PLAN: FlagPlan = {
  targeting: undefined,
  prerequisites: [],
  targets: NO_TARGETS,
  rules: [],
  fallback: undefined,
};

function inOrder({ prerequisites, targets, rules }: FlagPlan, fallback: Choice): SelectOutcome {
  const byRules = selectByRules(rules, fallback);
  if (prerequisites.length === 0 && targets.size === 0) return byRules;
  return (context, now) => {
    for (const { selectFailure } of prerequisites) {
      const failure = selectFailure(context, now);
      if (failure !== undefined) return failure;
    }
    const key = targetingKey(context);
    return (key === undefined ? undefined : targets.get(key)) ?? byRules(context, now);
  };
}
