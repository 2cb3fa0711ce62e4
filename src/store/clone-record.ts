import { clone } from "@bufbuild/protobuf";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";

/** A deep copy. The keys of a segment, which may be a million, are copied as the lists of text that they are. */
export function cloneRecord(record: Record): Record {
  const { kind } = record;
  if (kind.case !== "segment") return clone(RecordSchema, record);
  const { included, excluded } = kind.value;
  const copy = clone(RecordSchema, withMembers(record, { kind: { case: "segment", value: withoutKeys(kind.value) } }));
  if (copy.kind.case === "segment") {
    copy.kind.value.included = [...included];
    copy.kind.value.excluded = [...excluded];
  }
  return copy;
}

function withoutKeys(segment: Segment): Segment {
  return withMembers(segment, { included: [], excluded: [] });
}

/** A shallow copy with other members. Fields that this version does not know stay with it, unlike with `create`. */
function withMembers<T extends object>(message: T, members: Partial<T>): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, members);
}
