import { create } from "@bufbuild/protobuf";
import { StoredTokenSchema } from "../../../gen/flagwire/v1/access_pb.js";
import { type Change, ChangeSchema, type Record, RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type Segment, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { segmentBytes, withoutKeys } from "../../watch/index.js";
import { contractLimits } from "../limits.js";

/** A segment as an answer shows it: with counts of its keys, and with the keys where it then has at most `maxBytes`. One whose keys history has left out has its counts already. */
export function shownSegment(segment: Segment, maxBytes: number = contractLimits.wholeSegmentBytes): Segment {
  if (segment.keysOmitted) return segment;
  const { included, excluded } = segment;
  const counts = { includedCount: included.length, excludedCount: excluded.length };
  if (fits(segment, maxBytes)) return create(SegmentSchema, { ...segment, ...counts });
  return create(SegmentSchema, {
    ...withoutKeys(segment),
    ...counts,
    keysOmitted: included.length + excluded.length > 0,
  });
}

/** A change as history shows it: without the keys of large segments, and what is kept of a token's secret. */
export function shownChange(change: Change): Change {
  const { before, after } = change;
  const kind = (after ?? before)?.kind.case;
  if (kind !== "segment" && kind !== "token") return change;
  return create(ChangeSchema, {
    ...change,
    ...(before && { before: shownRecord(before) }),
    ...(after && { after: shownRecord(after) }),
  });
}

function shownRecord(record: Record): Record {
  if (record.kind.case === "token") {
    const value = create(StoredTokenSchema, { ...record.kind.value, secretSha256: new Uint8Array() });
    return create(RecordSchema, { kind: { case: "token", value } });
  }
  if (record.kind.case !== "segment") return record;
  const value = shownSegment(record.kind.value, contractLimits.listedSegmentBytes);
  return create(RecordSchema, { kind: { case: "segment", value } });
}

function fits(segment: Segment, maxBytes: number): boolean {
  // Of a large segment, only as much is counted as it takes to know.
  let atLeast = 0;
  for (const keys of [segment.included, segment.excluded]) {
    for (const key of keys) {
      atLeast += key.length + 2;
      if (atLeast > maxBytes) return false;
    }
  }
  return segmentBytes(segment) <= maxBytes;
}
