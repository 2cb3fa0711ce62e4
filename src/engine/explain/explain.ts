import { clone, create } from "@bufbuild/protobuf";
import { type Kill, KillSchema, type Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import {
  type FlagTrace,
  FlagTraceSchema,
  MalformedTraceSchema,
  type PrerequisiteTrace,
  PrerequisiteTraceSchema,
  PrerequisiteVerdict,
  type RuleTrace,
  RuleTraceSchema,
  type ServeTrace,
  ServeTraceSchema,
  type SwitchTrace,
  SwitchTraceSchema,
  type TargetsTrace,
  TargetsTraceSchema,
  type Trace,
  TraceSchema,
  type TraceStep,
  TraceStepSchema,
} from "../../../gen/flagwire/v1/trace_pb.js";
import { targetingKey } from "../attribute.js";
import type {
  CompiledFlag,
  CompiledPrerequisite,
  CompiledRule,
  CompiledServe,
  FlagEntry,
  FlagPlan,
} from "../compiled-flag.js";
import type { Context } from "../context.js";
import type { ErrorCode, Outcome, Reason } from "../outcome.js";
import type { Problem } from "../problem.js";
import { AttributeTracer } from "./attribute-tracer.js";
import { PrivateAttributes } from "./private-attributes.js";
import { BUCKET_PARTS, TraceBudget } from "./trace-budget.js";
import { ConditionTracer } from "./trace-condition.js";
import { traceRollout } from "./trace-rollout.js";
import { clipText } from "./trace-value.js";

export interface ExplainOptions {
  /** The attributes whose values are left out; see Context.private_attributes. Default: none. */
  readonly privateAttributes?: readonly string[] | undefined;
}

/**
 * How a flag comes to its answer for a context. Walks through what the flag was compiled to, with the very tests that
 * `select` calls, and ends in the answer that `select` gives. Costs as much as thousands of evaluations.
 *
 * Throws only what a getter or `toJSON` of the caller's own context does.
 */
export function explain(flag: CompiledFlag, context: Context, now: number, options: ExplainOptions = {}): Trace {
  const explanation = new Explanation(
    context,
    now,
    new AttributeTracer(new PrivateAttributes(options.privateAttributes ?? [])),
  );
  // Every compiled flag is one: nobody else makes them.
  explanation.flag(flag as FlagEntry);
  return explanation.toTrace();
}

/** What decided, beside what has the same name in FlagTrace. */
interface Answer {
  /** Undefined or empty: none. */
  readonly variant?: string;
  readonly reason: Reason;
  readonly ruleId?: string;
  readonly prerequisiteKey?: string;
  readonly errorCode?: ErrorCode;
}

type StepKind = Exclude<TraceStep["kind"], { case: undefined }>;

/** The explanation of one evaluation. */
class Explanation {
  readonly #flags = new Map<string, FlagTrace>();
  readonly #budget = new TraceBudget();
  readonly #conditions: ConditionTracer;

  constructor(
    readonly context: Context,
    readonly now: number,
    readonly attributes: AttributeTracer,
  ) {
    this.#conditions = new ConditionTracer(context, now, attributes, this.#budget);
  }

  toTrace(): Trace {
    const { segments } = this.#conditions;
    return create(TraceSchema, { flags: [...this.#flags.values()], segments, truncated: this.#budget.exceeded });
  }

  flag(entry: FlagEntry): FlagTrace {
    const known = this.#flags.get(entry.key);
    if (known !== undefined) return known;
    if (!this.#budget.take(1)) return toUntold(entry.select(this.context, this.now));
    const trace = create(FlagTraceSchema, { flagKey: entry.key });
    this.#flags.set(entry.key, trace);
    const { variant = "", ...answer } = this.#answer(entry, (kind) => {
      trace.steps.push(create(TraceStepSchema, { kind }));
    });
    return Object.assign(trace, { variant, ...answer });
  }

  /** Tells the steps; where the budget is spent, only the one that decides. */
  #answer(entry: FlagEntry, tell: (step: StepKind) => void): Answer {
    const { problems, plan } = entry;
    const { targeting, prerequisites, targets, rules, fallback } = plan;
    if (problems.length > 0) {
      const told = this.#budget.take(problems.length) ? problems : problems.slice(0, 1);
      tell({ case: "malformed", value: create(MalformedTraceSchema, { problems: told.map(toText) }) });
      // Whatever is wrong, the answer is always the same one; only a killed flag has another than the error.
      if (entry.select(this.context, this.now).errorCode !== undefined) return MALFORMED;
    }
    tell({ case: "switch", value: traceSwitch(targeting) });
    const offVariant = targeting?.offVariant ?? "";
    if (targeting?.killed !== undefined) return { variant: offVariant, reason: "KILLED" };
    if (!targeting?.enabled) return { variant: offVariant, reason: "DISABLED" };
    for (const prerequisite of prerequisites) {
      const isTold = this.#budget.take(1 + prerequisite.source.variants.length);
      const value = this.#prerequisite(prerequisite, isTold);
      const isFulfilled = value.verdict === PrerequisiteVerdict.FULFILLED;
      if (isTold || !isFulfilled) tell({ case: "prerequisite", value });
      if (!isFulfilled) return { variant: offVariant, reason: "PREREQUISITE_FAILED", prerequisiteKey: value.flagKey };
    }
    if (targets.size > 0) {
      const value = this.#targets(targets);
      tell({ case: "targets", value });
      if (value.variant !== "") return { variant: value.variant, reason: "TARGETING_MATCH" };
    }
    for (const rule of rules) {
      if (!this.#budget.take(1) && !rule.condition.test(this.context, this.now)) continue;
      const value = this.#rule(rule);
      tell({ case: "rule", value });
      if (value.serve !== undefined) return answerOf(value.serve, "TARGETING_MATCH", value.id);
    }
    const value = fallback === undefined ? create(ServeTraceSchema) : this.#serve(fallback);
    tell({ case: "default", value });
    const isStatic = prerequisites.length === 0 && targets.size === 0 && rules.length === 0;
    return answerOf(value, isStatic && fallback !== undefined ? "STATIC" : "DEFAULT");
  }

  #prerequisite({ source, flag, accepted }: CompiledPrerequisite, withVariants: boolean): PrerequisiteTrace {
    const variants = withVariants ? [...source.variants] : [];
    const trace = create(PrerequisiteTraceSchema, { flagKey: source.flagKey, variants });
    trace.verdict = verdictWithoutAsking(flag);
    const killed = flag?.plan.targeting?.killed;
    if (killed !== undefined) trace.killed = copyKill(killed);
    if (flag === undefined || trace.verdict !== PrerequisiteVerdict.UNSPECIFIED) return trace;
    trace.variant = this.flag(flag).variant;
    const isFulfilled = trace.variant !== "" && accepted.has(trace.variant);
    trace.verdict = isFulfilled ? PrerequisiteVerdict.FULFILLED : PrerequisiteVerdict.OTHER_VARIANT;
    return trace;
  }

  #targets(targets: FlagPlan["targets"]): TargetsTrace {
    const key = targetingKey(this.context);
    return create(TargetsTraceSchema, {
      keyCount: targets.size,
      targetingKey: this.attributes.whole("targetingKey", key, () => true),
      variant: (key === undefined ? undefined : targets.get(key)?.variant) ?? "",
    });
  }

  #rule({ source, condition, serve }: CompiledRule): RuleTrace {
    const trace = create(RuleTraceSchema, { id: source.id, description: clipText(source.description) });
    trace.condition = this.#conditions.trace(condition);
    if (trace.condition.holds) trace.serve = this.#serve(serve);
    return trace;
  }

  #serve({ source: { kind }, hash }: CompiledServe): ServeTrace {
    if (kind.case !== "rollout" || hash === undefined) {
      return create(ServeTraceSchema, { kind: { case: "variant", value: kind.case === "variant" ? kind.value : "" } });
    }
    const value = traceRollout(kind.value, hash, this.context, this.attributes);
    if (!this.#budget.take(BUCKET_PARTS + value.shares.length))
      value.shares = value.shares.filter(({ chosen }) => chosen);
    return create(ServeTraceSchema, { kind: { case: "rollout", value } });
  }
}

const MALFORMED: Answer = { reason: "ERROR", errorCode: "MALFORMED_FLAG" };

function toText({ field, description }: Problem): string {
  return clipText(`${field}: ${description}`);
}

function traceSwitch(targeting: Targeting | undefined): SwitchTrace {
  const trace = create(SwitchTraceSchema, {
    enabled: targeting?.enabled ?? false,
    offVariant: targeting?.offVariant ?? "",
  });
  if (targeting?.killed !== undefined) trace.killed = copyKill(targeting.killed);
  return trace;
}

/** Copied: the trace is the caller's to change. */
function copyKill(killed: Kill): Kill {
  const copy = clone(KillSchema, killed);
  return Object.assign(copy, { killedBy: clipText(killed.killedBy), reason: clipText(killed.reason) });
}

/** What a flag answers, without how. */
function toUntold(outcome: Outcome): FlagTrace {
  return create(FlagTraceSchema, {
    flagKey: outcome.flagKey,
    variant: outcome.variant ?? "",
    reason: outcome.reason,
    ruleId: outcome.ruleId ?? "",
    prerequisiteKey: outcome.prerequisiteKey ?? "",
    errorCode: outcome.errorCode ?? "",
  });
}

/** Why a prerequisite fails whatever the other flag would answer; unspecified where it is to be asked. */
function verdictWithoutAsking(flag: FlagEntry | undefined): PrerequisiteVerdict {
  if (flag === undefined) return PrerequisiteVerdict.MISSING;
  if (flag.plan.targeting?.killed !== undefined) return PrerequisiteVerdict.KILLED;
  if (flag.problems.length > 0) return PrerequisiteVerdict.MALFORMED;
  return flag.active ? PrerequisiteVerdict.UNSPECIFIED : PrerequisiteVerdict.DISABLED;
}

/** What a serve answers. */
function answerOf({ kind }: ServeTrace, reason: Reason, ruleId = ""): Answer {
  switch (kind.case) {
    case "variant":
      return { variant: kind.value, reason, ruleId };
    case "rollout": {
      const share = kind.value.shares.find(({ chosen }) => chosen);
      return share === undefined
        ? { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING", ruleId }
        : { variant: share.variant, reason: "SPLIT", ruleId };
    }
    case undefined:
      return { reason, ruleId };
  }
}
