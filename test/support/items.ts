import { create, type JsonObject } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";

/** A boolean flag `on`/`off` that serves `on` unless `served` says otherwise, at a revision. */
export function booleanFlag(
  key: string,
  revision: number,
  served: "on" | "off" = "on",
  metadata?: JsonObject,
): WatchItem {
  return create(WatchItemSchema, {
    kind: {
      case: "flag",
      value: {
        flag: {
          key,
          type: FlagType.BOOLEAN,
          kind: FlagKind.OPERATIONAL,
          variants: { on: booleanValue(true), off: booleanValue(false) },
          revision: BigInt(revision),
          ...(metadata && { metadata }),
        },
        targeting: {
          flagKey: key,
          enabled: true,
          offVariant: "off",
          default: { kind: { case: "variant", value: served } },
          revision: BigInt(revision),
        },
      },
    },
  });
}

/** A segment of listed targeting keys. */
export function segment(key: string, revision: number, included: string[] = []): WatchItem {
  return create(WatchItemSchema, { kind: { case: "segment", value: { key, included, revision: BigInt(revision) } } });
}

export function deletedFlag(key: string): WatchItem {
  return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: key } });
}

export function deletedSegment(key: string): WatchItem {
  return create(WatchItemSchema, { kind: { case: "deletedSegmentKey", value: key } });
}

function booleanValue(value: boolean) {
  return create(ValueSchema, { kind: { case: "boolValue", value } });
}
