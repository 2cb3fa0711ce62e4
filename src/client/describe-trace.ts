import { toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Kill } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  AttributeState,
  type AttributeTrace,
  type BucketTrace,
  type ConditionTrace,
  type ConditionTraceList,
  type FlagTrace,
  type MatchTrace,
  type PrerequisiteTrace,
  PrerequisiteVerdict,
  type RolloutTrace,
  type RuleTrace,
  type SegmentTrace,
  SegmentVerdict,
  type ServeTrace,
  type SwitchTrace,
  type TargetsTrace,
  type Trace,
  type TraceStep,
} from "../../gen/flagwire/v1/trace_pb.js";
import { type TextTree, tree } from "./text-tree.js";

/**
 * A trace as text: a tree, a line each step, without a line feed at the end. Control characters of what stands in flags and
 * contexts are escaped.
 */
export function describeTrace(trace: Trace): string {
  const description = new Description(trace);
  const [asked] = trace.flags;
  const roots = asked === undefined ? [] : [description.flag(asked)];
  if (trace.truncated) roots.push({ text: "there is more than a trace can tell" });
  return roots.map((root) => tree(root)).join("\n");
}

const YES = "✓";
const NO = "✗";

/** One description. What several parts of a trace refer to is told at the first of them. */
class Description {
  readonly #flags: ReadonlyMap<string, FlagTrace>;
  readonly #segments: ReadonlyMap<string, SegmentTrace>;
  readonly #told = new Set<FlagTrace | SegmentTrace>();

  constructor(trace: Trace) {
    this.#flags = new Map(trace.flags.map((flag) => [flag.flagKey, flag]));
    this.#segments = new Map(trace.segments.map((segment) => [segment.key, segment]));
  }

  flag(trace: FlagTrace): TextTree {
    this.#told.add(trace);
    return {
      text: `${trace.flagKey} → ${describeAnswer(trace)}`,
      children: trace.steps.map((step) => this.#step(step)),
    };
  }

  #step({ kind }: TraceStep): TextTree {
    switch (kind.case) {
      case "malformed":
        return { text: "malformed", children: kind.value.problems.map((text) => ({ text })) };
      case "switch":
        return { text: describeSwitch(kind.value) };
      case "prerequisite":
        return this.#prerequisite(kind.value);
      case "targets":
        return { text: describeTargets(kind.value) };
      case "rule":
        return this.#rule(kind.value);
      case "default": {
        const { text, children } = describeServe(kind.value);
        return { text: `default: ${text}`, children };
      }
      case undefined:
        return { text: "a step that this version does not know" };
    }
  }

  #prerequisite(trace: PrerequisiteTrace): TextTree {
    const mark = trace.verdict === PrerequisiteVerdict.FULFILLED ? YES : NO;
    const other = this.#flags.get(trace.flagKey);
    const text = `${mark} prerequisite ${trace.flagKey} must answer ${listed(trace.variants)}: ${describeVerdict(trace)}`;
    if (other === undefined) return { text };
    return { text, children: [this.#told.has(other) ? { text: `${other.flagKey}: see above` } : this.flag(other)] };
  }

  #rule({ id, description, condition, serve }: RuleTrace): TextTree {
    const about = description === "" ? "" : ` (${description})`;
    const children = condition === undefined ? [] : [this.#condition(condition)];
    if (serve === undefined) return { text: `${NO} rule ${id}${about}`, children };
    const served = describeServe(serve);
    if (served.children === undefined) return { text: `${YES} rule ${id}${about} → ${served.text}`, children };
    return { text: `${YES} rule ${id}${about}`, children: [...children, { ...served, text: `→ ${served.text}` }] };
  }

  #condition({ holds, kind }: ConditionTrace): TextTree {
    const mark = holds ? YES : NO;
    switch (kind.case) {
      case "all":
        return {
          text: `${mark} ${isEmpty(kind.value) ? "everyone: all of no conditions" : "all of"}`,
          children: this.#list(kind.value),
        };
      case "any":
        return {
          text: `${mark} ${isEmpty(kind.value) ? "nobody: any of no conditions" : "any of"}`,
          children: this.#list(kind.value),
        };
      case "not":
        return { text: `${mark} not`, children: [this.#condition(kind.value)] };
      case "match":
        return { text: `${mark} ${describeMatch(kind.value)}` };
      case "segment":
        return this.#segment(kind.value, mark);
      case "rollout": {
        const { bucket, start, end } = kind.value;
        const share = `${percent(end - start, bucket)} of callers, ${describeBuckets(start, end)}`;
        return { text: `${mark} ${share}: ${describeBucket(bucket)}` };
      }
      case undefined:
        return { text: `${mark} …` };
    }
  }

  #list({ conditions, skipped }: ConditionTraceList): TextTree[] {
    const children = conditions.map((condition) => this.#condition(condition));
    if (skipped > 0) children.push({ text: `${skipped} more, not looked at` });
    return children;
  }

  #segment(key: string, mark: string): TextTree {
    const trace = this.#segments.get(key);
    if (trace === undefined) return { text: `${mark} segment ${key}` };
    const text = `${mark} segment ${key}: ${describeMembership(trace)}`;
    if (trace.condition === undefined || this.#told.has(trace)) return { text };
    this.#told.add(trace);
    return { text, children: [this.#condition(trace.condition)] };
  }
}

function isEmpty({ conditions, skipped }: ConditionTraceList): boolean {
  return conditions.length === 0 && skipped === 0;
}

function describeAnswer({ variant, reason, ruleId, prerequisiteKey, errorCode }: FlagTrace): string {
  const what = variant === "" ? "no value" : `variant ${variant}`;
  const details = [
    errorCode || reason,
    ruleId && `rule ${ruleId}`,
    prerequisiteKey && `prerequisite ${prerequisiteKey}`,
  ];
  return `${what} (${details.filter((part) => part !== "").join(", ")})`;
}

function describeSwitch({ enabled, killed, offVariant }: SwitchTrace): string {
  const answer = offVariant === "" ? "no off variant" : `off variant ${offVariant}`;
  if (killed !== undefined) return `${NO} ${describeKill(killed)} → ${answer}`;
  return enabled ? `${YES} enabled` : `${NO} not enabled → ${answer}`;
}

function describeKill({ killedBy, reason }: Kill): string {
  return `killed${killedBy === "" ? "" : ` by ${killedBy}`}${reason === "" ? "" : `: ${reason}`}`;
}

function describeVerdict({ verdict, variant, killed }: PrerequisiteTrace): string {
  switch (verdict) {
    case PrerequisiteVerdict.FULFILLED:
      return `it answers ${variant}`;
    case PrerequisiteVerdict.OTHER_VARIANT:
      return variant === "" ? "it has no answer" : `it answers ${variant}`;
    case PrerequisiteVerdict.MISSING:
      return "there is no such flag";
    case PrerequisiteVerdict.KILLED:
      return killed === undefined ? "it is killed" : `it is ${describeKill(killed)}`;
    case PrerequisiteVerdict.DISABLED:
      return "it is not enabled";
    case PrerequisiteVerdict.MALFORMED:
      return "it is malformed";
    default:
      return `verdict ${verdict}`;
  }
}

function describeTargets({ keyCount, targetingKey, variant }: TargetsTrace): string {
  const subject = describeAttribute(targetingKey);
  const keys = `the ${keyCount} listed ${keyCount === 1 ? "key" : "keys"}`;
  if (variant === "") return `${NO} targets, none of ${keys}: ${subject}`;
  return `${YES} targets, one of ${keys} → variant ${variant}: ${subject}`;
}

function describeServe({ kind }: ServeTrace): TextTree {
  switch (kind.case) {
    case "variant":
      return { text: `variant ${kind.value}` };
    case "rollout":
      return describeRollout(kind.value);
    case undefined:
      return { text: "nothing, so the caller's own" };
  }
}

function describeRollout({ bucket, shares }: RolloutTrace): TextTree {
  const children = shares.map(({ variant, weight, start, end, chosen }) => ({
    text: `${chosen ? YES : NO} ${percent(weight, bucket)} ${variant}: ${describeBuckets(start, end)}`,
  }));
  return { text: `rollout: ${describeBucket(bucket)}`, children };
}

function describeBuckets(start: number, end: number): string {
  return start === end ? "no buckets" : `buckets ${start} to ${end - 1}`;
}

function describeBucket(trace: BucketTrace | undefined): string {
  if (trace === undefined) return "no bucket";
  const { value, input, hash, bucket, totalWeight } = trace;
  if (bucket !== undefined)
    return `bucket ${bucket} of ${totalWeight}, from the hash ${hash} of ${quoted(input ?? "")}`;
  if (value?.redacted && value.state === AttributeState.COMPARED) return `by ${value.name}, which is private`;
  return `nothing to hash, for ${describeAttribute(value)}`;
}

function describeMatch({ attribute, operator, values, valueCount, ignoreCase }: MatchTrace): string {
  const name = attribute?.name ?? "";
  const words = [name, operatorName(operator), describeValues(values, valueCount), ignoreCase ? "(ignoring case)" : ""];
  return `${words.filter((word) => word !== "").join(" ")}: ${describeAttribute(attribute)}`;
}

function describeValues(values: readonly Value[], count: number): string {
  if (count === 0) return "";
  if (values.length === 0) return count === 1 ? "a value" : `${count} values`;
  const [only] = values;
  if (count === 1 && only !== undefined) return toText(only);
  const more = count > values.length ? `, … ${count - values.length} more` : "";
  return `[${values.map(toText).join(", ")}${more}]`;
}

function describeAttribute(trace: AttributeTrace | undefined): string {
  if (trace === undefined) return "no attribute";
  const { name, state, value, redacted } = trace;
  if (state === AttributeState.MISSING) return `${name} is missing`;
  const shown = redacted || value === undefined ? "private" : toText(value);
  return state === AttributeState.WRONG_TYPE
    ? `${name} is ${shown}, which is not compared here`
    : `${name} is ${shown}`;
}

function describeMembership({ contains, verdict, targetingKey, condition }: SegmentTrace): string {
  const subject = describeAttribute(targetingKey);
  switch (verdict) {
    case SegmentVerdict.INCLUDED:
      return `included, ${subject}`;
    case SegmentVerdict.EXCLUDED:
      return `excluded, ${subject}`;
    case SegmentVerdict.NOT_LISTED:
      return `not listed, ${subject}`;
    default:
      return condition === undefined ? (contains ? "in it" : "not in it") : "not listed, so by its condition";
  }
}

/** `greater_or_equal` for OPERATOR_GREATER_OR_EQUAL: the name that flag files use. */
function operatorName(operator: Operator): string {
  return Operator[operator]?.toLowerCase() ?? `operator ${operator}`;
}

function percent(weight: number, bucket: BucketTrace | undefined): string {
  const total = bucket?.totalWeight ?? 0;
  return total === 0 ? "0 %" : `${Number(((weight * 100) / total).toPrecision(6))} %`;
}

function toText(value: Value): string {
  return JSON.stringify(toJson(ValueSchema, value));
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function listed(variants: readonly string[]): string {
  return variants.join(" or ");
}
