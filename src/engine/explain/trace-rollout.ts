import { create } from "@bufbuild/protobuf";
import { type Rollout, RolloutAlgorithm } from "../../../gen/flagwire/v1/rollout_pb.js";
import {
  type BucketTrace,
  BucketTraceSchema,
  type RolloutConditionTrace,
  RolloutConditionTraceSchema,
  type RolloutTrace,
  RolloutTraceSchema,
  ShareTraceSchema,
} from "../../../gen/flagwire/v1/trace_pb.js";
import { type ContextHash, toHashText } from "../bucket.js";
import type { ShareOfBuckets } from "../compiled-condition.js";
import type { Context } from "../context.js";
import { HALF } from "../murmur3.js";
import type { CompareValue } from "../operators/test-value.js";
import type { AttributeTracer } from "./attribute-tracer.js";
import { clipText } from "./trace-value.js";

/** Where a context stands in a rollout, and what of that may be told. */
interface Standing {
  /** Undefined: there was nothing to hash. */
  readonly bucket: number | undefined;
  readonly trace: BucketTrace;
}

/** How a rollout chose one of its shares; none where there was nothing to hash. */
export function traceRollout(
  rollout: Rollout,
  hash: ContextHash,
  context: Context,
  attributes: AttributeTracer,
): RolloutTrace {
  const total = rollout.shares.reduce((sum, { weight }) => sum + weight, 0);
  const { bucket, trace } = stand(hash, total, context, attributes);
  let end = 0;
  const shares = rollout.shares.map(({ variant, weight }) => {
    const start = end;
    end += weight;
    const chosen = bucket !== undefined && bucket >= start && bucket < end;
    return create(ShareTraceSchema, { variant, weight, start, end, chosen });
  });
  return create(RolloutTraceSchema, { bucket: trace, shares });
}

/** Whether a context is in a share, and how that was found. */
export function traceShare(
  { start, end, total }: ShareOfBuckets,
  hash: ContextHash,
  context: Context,
  attributes: AttributeTracer,
): { readonly trace: RolloutConditionTrace; readonly holds: boolean } {
  const { bucket, trace } = stand(hash, total, context, attributes);
  const holds = bucket !== undefined && bucket >= start && bucket < end;
  return { trace: create(RolloutConditionTraceSchema, { bucket: trace, start, end }), holds };
}

const isHashed: CompareValue = (value) => toHashText(value) !== undefined;

/** The bucket by its definition, `(hash * total) >> 32`, rather than by the bounds that evaluating compares. */
function stand(hash: ContextHash, total: number, context: Context, attributes: AttributeTracer): Standing {
  const value = hash.read(context, 0);
  const text = toHashText(value);
  const trace = create(BucketTraceSchema, {
    value: attributes.whole(hash.attribute, value, isHashed),
    salt: clipText(hash.salt),
    algorithm: RolloutAlgorithm.MURMUR3_32,
    totalWeight: total,
  });
  const centred = hash.hashContext(context);
  if (text === undefined || centred === undefined) return { bucket: undefined, trace };
  const hashed = centred + HALF;
  const bucket = Number((BigInt(hashed) * BigInt(total)) >> 32n);
  if (!attributes.isPrivate(hash.attribute)) {
    trace.input = clipText(hash.salt + text);
    trace.hash = hashed;
    trace.bucket = bucket;
  }
  return { bucket, trace };
}
