import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type Condition,
  ConditionSchema,
  type MatchSchema,
  type Operator,
} from "../../gen/flagwire/v1/condition_pb.js";
import { type FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { RolloutConditionSchema, RolloutSchema } from "../../gen/flagwire/v1/rollout_pb.js";
import type { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { type Rule, RuleSchema, type Serve, ServeSchema, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { type Position, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Context, emptySnapshot, type Outcome, type Snapshot } from "../../src/engine/index.js";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type FlagInit = MessageInitShape<typeof FlagSchema>;
export type TargetingInit = MessageInitShape<typeof TargetingSchema>;
export type SegmentInit = MessageInitShape<typeof SegmentSchema>;

/** A protobuf value; unlike `fromJson` it takes NaN and the infinities too. */
export function value(json: Json): Value {
  if (json === null) return create(ValueSchema, { kind: { case: "nullValue", value: 0 } });
  switch (typeof json) {
    case "boolean":
      return create(ValueSchema, { kind: { case: "boolValue", value: json } });
    case "number":
      return create(ValueSchema, { kind: { case: "numberValue", value: json } });
    case "string":
      return create(ValueSchema, { kind: { case: "stringValue", value: json } });
  }
  if (isList(json)) return create(ValueSchema, { kind: { case: "listValue", value: { values: json.map(value) } } });
  const fields = Object.fromEntries(Object.entries(json).map(([key, member]) => [key, value(member)]));
  return create(ValueSchema, { kind: { case: "structValue", value: { fields } } });
}

function isList(json: object): json is readonly Json[] {
  return Array.isArray(json);
}

export function position(revision: number, epoch = "test"): Position {
  return create(PositionSchema, { epoch, revision: BigInt(revision) });
}

/** A flag of the string variants `a`, `b`, `c` and `off`; enabled, and `a` for everyone, unless said otherwise. */
export function flag(key: string, targeting: TargetingInit = {}, init: FlagInit = {}): WatchItem {
  const variants = { a: value("A"), b: value("B"), c: value("C"), off: value("OFF") };
  return create(WatchItemSchema, {
    kind: {
      case: "flag",
      value: {
        flag: { key, type: FlagType.STRING, variants, revision: 1n, ...init },
        targeting: create(TargetingSchema, {
          flagKey: key,
          enabled: true,
          offVariant: "off",
          default: serve("a"),
          revision: 1n,
          ...targeting,
        }),
      },
    },
  });
}

export function segment(key: string, init: SegmentInit = {}): WatchItem {
  return create(WatchItemSchema, { kind: { case: "segment", value: { key, revision: 1n, ...init } } });
}

export function deletedFlag(key: string): WatchItem {
  return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: key } });
}

export function environmentState(privateAttributes: string[]): WatchItem {
  return create(WatchItemSchema, { kind: { case: "environment", value: { privateAttributes } } });
}

export function deletedSegment(key: string): WatchItem {
  return create(WatchItemSchema, { kind: { case: "deletedSegmentKey", value: key } });
}

export function serve(variant: string): Serve {
  return create(ServeSchema, { kind: { case: "variant", value: variant } });
}

export function serveRollout(rollout: MessageInitShape<typeof RolloutSchema>): Serve {
  return create(ServeSchema, { kind: { case: "rollout", value: rollout } });
}

/** A rule `r` that serves `b`. */
export function rule(condition: Condition, id = "r", served: Serve = serve("b")): Rule {
  return create(RuleSchema, { id, condition, serve: served });
}

export function match(
  attribute: string,
  operator: Operator,
  values: readonly Json[],
  init: MessageInitShape<typeof MatchSchema> = {},
): Condition {
  return create(ConditionSchema, {
    kind: { case: "match", value: { attribute, operator, values: values.map(value), ...init } },
  });
}

export function all(...conditions: Condition[]): Condition {
  return create(ConditionSchema, { kind: { case: "all", value: { conditions } } });
}

export function any(...conditions: Condition[]): Condition {
  return create(ConditionSchema, { kind: { case: "any", value: { conditions } } });
}

export function not(condition: Condition): Condition {
  return create(ConditionSchema, { kind: { case: "not", value: condition } });
}

export function inSegment(key: string): Condition {
  return create(ConditionSchema, { kind: { case: "segment", value: key } });
}

export function share(rollout: MessageInitShape<typeof RolloutConditionSchema>): Condition {
  return create(ConditionSchema, { kind: { case: "rollout", value: rollout } });
}

/** What only a newer server can send: none of the kinds that this version knows. */
export function unsetCondition(): Condition {
  return create(ConditionSchema);
}

export function snapshotOf(...items: WatchItem[]): Snapshot {
  return emptySnapshot("production").apply("full", items, position(1));
}

/** What a flag of a snapshot answers. */
export function ask(snapshot: Snapshot, key: string, context: Context = {}, now = 0): Outcome {
  const found = snapshot.flag(key);
  if (found === undefined) throw new Error(`the snapshot has no flag ${key}`);
  return found.select(context, now);
}

/** The fields that a flag has problems with. */
export function fieldsOf(snapshot: Snapshot, key: string): string[] {
  return snapshot.flag(key)?.problems.map(({ field }) => field) ?? [];
}
