import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { type Segment, SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  type FlagState,
  GoodbyeReason,
  type Position,
  UpdateKind,
  type WatchItem,
  type WatchResponse,
} from "../../gen/flagwire/v1/watch_pb.js";
import type { ItemRecord, MessageRecord, PositionRecord } from "./history.js";
import { hashOf } from "./sum.js";

/** A message as it came, for the records. */
export function toMessageRecord(
  { begin, items, commit, heartbeat, goodbye }: WatchResponse,
  at: number,
): MessageRecord {
  return {
    at,
    ...(begin && { begin: KINDS[begin.kind] ?? "unknown" }),
    items: items.map(toItemRecord),
    ...(commit && { commit: { position: toPositionRecord(commit.position), digest: commit.digest } }),
    ...(heartbeat && { heartbeat: { position: toPositionRecord(heartbeat.position), digest: heartbeat.digest } }),
    ...(goodbye && { goodbye: GoodbyeReason[goodbye.reason] ?? "UNSPECIFIED" }),
  };
}

export function toPositionRecord(position: Position): PositionRecord;
export function toPositionRecord(position: Position | undefined): PositionRecord | undefined;
export function toPositionRecord(position: Position | undefined): PositionRecord | undefined {
  return position && { epoch: position.epoch, revision: Number(position.revision) };
}

export function toItemRecord({ kind }: WatchItem): ItemRecord {
  switch (kind.case) {
    case "flag": {
      const { flag, targeting } = kind.value;
      return {
        kind: "flag",
        id: `flag/${flag?.key}`,
        environment: targeting?.environment,
        version: flagVersion(kind.value),
      };
    }
    case "segment": {
      const { key, environment, included, excluded, includedCount, excludedCount } = kind.value;
      const keyCount = includedCount + excludedCount;
      const version = segmentVersion(kind.value);
      return { kind: "segment", id: `segment/${key}`, environment, version, included, excluded, keyCount };
    }
    case "segmentKeys": {
      const { segmentKey, environment, included, excluded } = kind.value;
      return { kind: "keys", id: `segment/${segmentKey}`, environment, included, excluded };
    }
    case "deletedFlagKey":
      return { kind: "deleted", id: `flag/${kind.value}` };
    case "deletedSegmentKey":
      return { kind: "deleted", id: `segment/${kind.value}` };
    case "environment":
    case undefined:
      return { kind: "unknown", id: "?" };
  }
}

/** All of a flag's state, not only its revisions. */
export function flagVersion({ flag, targeting }: FlagState): string {
  const parts = [flag && binary(FlagSchema, flag), targeting && binary(TargetingSchema, targeting)];
  return hashOf(parts.map((part) => part ?? "-").join("\n"));
}

/** All of a segment but its keys and their numbers. */
export function segmentVersion(segment: Segment): string {
  const head = { ...segment, included: [], excluded: [], includedCount: 0, excludedCount: 0 };
  return hashOf(binary(SegmentSchema, head));
}

/** A segment with its keys. */
export function keyedVersion(version: string, included: readonly string[], excluded: readonly string[]): string {
  return hashOf(`${version}\n${included.join("\n")}\n\n${excluded.join("\n")}`);
}

const KINDS: { readonly [kind in UpdateKind]?: MessageRecord["begin"] } = {
  [UpdateKind.FULL]: "full",
  [UpdateKind.DELTA]: "delta",
  [UpdateKind.NONE]: "none",
};

function binary<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  return Buffer.from(toBinary(schema, message)).toString("latin1");
}
