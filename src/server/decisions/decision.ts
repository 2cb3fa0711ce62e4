import { type Context, type CountedOutcome, type Snapshot, withoutPrivate } from "../../engine/index.js";

/** One answer, as it is written out. */
export interface Decision {
  /** When it was given, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly environment: string;
  readonly revision: bigint;
  readonly outcome: CountedOutcome;
  /** As JSON, without private attributes. Undefined where it would be longer than `MAX_CONTEXT_LENGTH`. */
  readonly context: string | undefined;
}

export const MAX_CONTEXT_LENGTH = 16_384;

/** `context`: see Decision; it is the same text for all answers to one request. */
export function toDecision(
  outcome: CountedOutcome,
  { environment, position }: Snapshot,
  context: string | undefined,
  timeMs: number,
): Decision {
  return { timeMs, environment, revision: position.revision, outcome, context };
}

/** A context as decisions have it. Costs as much as the context is large. */
export function toShownContext({ privateAttributes }: Snapshot, context: Context): string | undefined {
  const text = JSON.stringify(withoutPrivate(context, privateAttributes));
  return text.length > MAX_CONTEXT_LENGTH ? undefined : text;
}

/**
 * A line of JSON, without its end: `time` (RFC 3339), `environment`, `flagKey`, `variant` (absent: none, the caller's own
 * default), `reason`, `ruleId`, `errorCode`, `revision` (a string, as in protobuf's JSON), and `context`, absent where it is large.
 */
export function toLine({ timeMs, environment, revision, outcome, context }: Decision): string {
  const { flagKey, variant, reason, ruleId, errorCode } = outcome;
  const time = new Date(timeMs).toISOString();
  const answer = { time, environment, flagKey, variant, reason, ruleId, errorCode, revision: String(revision) };
  const head = JSON.stringify(answer);
  return context === undefined ? head : `${head.slice(0, -1)},"context":${context}}`;
}

/** The same as attributes of OpenTelemetry's event `feature_flag.evaluation`; what it has no name for begins with `flagwire.`. */
export function toAttributes({ environment, revision, outcome, context }: Decision): Record<string, string> {
  const { flagKey, variant, reason, ruleId, errorCode } = outcome;
  return {
    "feature_flag.key": flagKey,
    "feature_flag.provider.name": "flagwire",
    "feature_flag.result.reason": reason.toLowerCase(),
    "feature_flag.set.id": environment,
    "feature_flag.version": String(revision),
    ...(variant !== undefined && { "feature_flag.result.variant": variant }),
    ...(errorCode !== undefined && { "error.type": errorCode.toLowerCase() }),
    ...(ruleId !== undefined && { "flagwire.rule.id": ruleId }),
    ...(context !== undefined && contextAttributes(context)),
  };
}

function contextAttributes(context: string): Record<string, string> {
  const { targetingKey }: { readonly targetingKey?: unknown } = JSON.parse(context);
  return {
    "flagwire.context": context,
    ...(typeof targetingKey === "string" && { "feature_flag.context.id": targetingKey }),
  };
}
