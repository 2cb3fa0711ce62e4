import type { Prerequisite, Rule, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { targetingKey } from "./attribute.js";
import type { CompiledSegment, TestContext } from "./compiled-segment.js";
import { type ConditionScope, compileCondition } from "./condition.js";
import type { Context } from "./context.js";
import { engineLimits } from "./limits.js";
import type { Outcome } from "./outcome.js";
import { OutcomeMaker } from "./outcome-maker.js";
import { type Problem, Problems } from "./problem.js";
import { checkComparisons } from "./segment.js";
import { compileServe, type SelectOutcome } from "./serve.js";
import type { CompiledFlag } from "./snapshot.js";

/** A compiled flag with what other flags need to know of it. */
export interface FlagEntry extends CompiledFlag {
  /** Whether it answers by its targeting: enabled, not killed and not malformed. */
  readonly active: boolean;
  /** See ConditionScope; with its prerequisites'. */
  readonly comparisons: number;
  /** How deep it requires other flags: 1 where it requires none. */
  readonly depth: number;
}

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
  const select = compilation.compile();
  const type = state.flag?.type ?? 0;
  const { targeting } = state;
  if (problems.list.length > 0) {
    const malformed = malformedFlag(key, type, problems.list, outcomes);
    // The panic button works on a flag whose rules cannot be understood, as long as what it then answers can.
    const offIsSound = !problems.list.some(
      ({ field }) => field.startsWith("flag") || field === "targeting.off_variant",
    );
    return targeting?.killed !== undefined && offIsSound ? { ...malformed, select } : malformed;
  }
  return {
    key,
    type,
    select,
    usesNow: compilation.conditions.usesNow,
    problems: [],
    active: targeting?.enabled === true && targeting.killed === undefined,
    comparisons: compilation.conditions.comparisons,
    depth: compilation.depth,
  };
}

function malformedFlag(key: string, type: number, problems: readonly Problem[], outcomes: OutcomeMaker): FlagEntry {
  const first = problems[0];
  const outcome = outcomes.error("MALFORMED_FLAG", `${first?.field}: ${first?.description}`);
  return { key, type, select: () => outcome, usesNow: false, problems, active: false, comparisons: 0, depth: 1 };
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
  compile(): SelectOutcome {
    const { targeting, outcomes } = this;
    if (targeting === undefined) return constant(outcomes.variant("", "DISABLED"));
    if (targeting.offVariant !== "") {
      outcomes.checkVariant(targeting.offVariant, "targeting.off_variant", this.problems);
    }
    const prerequisites = this.#prerequisites(targeting);
    const targets = this.#targets(targeting);
    const rules = this.#rules(targeting.rules);
    const fallback = this.#default(targeting);
    checkComparisons(this.conditions.comparisons, "targeting", this.problems);
    if (targeting.killed !== undefined) return constant(outcomes.variant(targeting.offVariant, "KILLED"));
    if (!targeting.enabled) return constant(outcomes.variant(targeting.offVariant, "DISABLED"));
    return inOrder(prerequisites, targets, rules, fallback);
  }

  #prerequisites(targeting: Targeting): readonly SelectFailure[] {
    if (this.scope.inCycle) {
      this.problems.add("targeting.prerequisites", "the flag requires itself, directly or through others");
      return [];
    }
    const selects = targeting.prerequisites.map((prerequisite, index) =>
      this.#prerequisite(prerequisite, `targeting.prerequisites[${index}]`, targeting.offVariant),
    );
    if (this.depth > engineLimits.prerequisiteDepth) {
      const limit = engineLimits.prerequisiteDepth;
      this.problems.add("targeting.prerequisites", `flags require flags more than ${limit} levels deep`);
    }
    return selects;
  }

  // A missing flag is no problem of this one's: it fails, as one does that was deleted meanwhile.
  #prerequisite(prerequisite: Prerequisite, path: string, offVariant: string): SelectFailure {
    const { flagKey } = prerequisite;
    if (flagKey === "") this.problems.add(`${path}.flag_key`, "is required");
    if (prerequisite.variants.length === 0) this.problems.add(`${path}.variants`, "at least one variant is required");
    const failure = this.outcomes.variant(offVariant, "PREREQUISITE_FAILED", { prerequisiteKey: flagKey });
    const flag = this.scope.flag(flagKey);
    if (flag === undefined) return () => failure;
    // Counted even where the other flag is off: turning it on must not make this one malformed.
    this.depth = Math.max(this.depth, 1 + flag.depth);
    this.conditions.comparisons += 1 + flag.comparisons;
    if (!flag.active) return () => failure;
    this.conditions.usesNow ||= flag.usesNow;
    const accepted = new Set(prerequisite.variants);
    return (context, now) => {
      const { variant } = flag.select(context, now);
      return variant !== undefined && accepted.has(variant) ? undefined : failure;
    };
  }

  #targets(targeting: Targeting): ReadonlyMap<string, Outcome> {
    const byKey = new Map<string, Outcome>();
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
      const test = this.#condition(rule, path);
      const select = this.#serve(rule, path);
      if (test !== undefined && select !== undefined) compiled.push({ test, select });
    }
    return compiled;
  }

  #condition(rule: Rule, path: string): TestContext | undefined {
    if (rule.condition) return compileCondition(rule.condition, `${path}.condition`, this.conditions);
    this.problems.add(`${path}.condition`, 'is required; {"all": {}} holds for everyone');
    return undefined;
  }

  #serve(rule: Rule, path: string): SelectOutcome | undefined {
    if (rule.serve) {
      const reasons = { variant: "TARGETING_MATCH", ruleId: rule.id } as const;
      return compileServe(rule.serve, `${path}.serve`, reasons, this.outcomes, this.problems);
    }
    this.problems.add(`${path}.serve`, "is required");
    return undefined;
  }

  #default(targeting: Targeting): SelectOutcome {
    const isStatic =
      targeting.prerequisites.length === 0 && targeting.targets.length === 0 && targeting.rules.length === 0;
    const nothing = constant(this.outcomes.variant("", "DEFAULT"));
    if (!targeting.default) return nothing;
    const reasons = { variant: isStatic ? "STATIC" : "DEFAULT", ruleId: undefined } as const;
    return compileServe(targeting.default, "targeting.default", reasons, this.outcomes, this.problems) ?? nothing;
  }
}

/** Selects the outcome of a failed prerequisite; undefined where it is fulfilled. */
type SelectFailure = (context: Context, now: number) => Outcome | undefined;

interface CompiledRule {
  readonly test: TestContext;
  readonly select: SelectOutcome;
}

function constant(outcome: Outcome): SelectOutcome {
  return () => outcome;
}

function inOrder(
  prerequisites: readonly SelectFailure[],
  targets: ReadonlyMap<string, Outcome>,
  rules: readonly CompiledRule[],
  fallback: SelectOutcome,
): SelectOutcome {
  const byRules = rules.length === 0 ? fallback : selectByRules(rules, fallback);
  if (prerequisites.length === 0 && targets.size === 0) return byRules;
  return (context, now) => {
    for (const prerequisite of prerequisites) {
      const failure = prerequisite(context, now);
      if (failure !== undefined) return failure;
    }
    const key = targetingKey(context);
    return (key === undefined ? undefined : targets.get(key)) ?? byRules(context, now);
  };
}

function selectByRules(rules: readonly CompiledRule[], fallback: SelectOutcome): SelectOutcome {
  return (context, now) => {
    for (const rule of rules) if (rule.test(context, now)) return rule.select(context, now);
    return fallback(context, now);
  };
}
