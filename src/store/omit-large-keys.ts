import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ChangeSchema, HistoryEntrySchema, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";

const CHANGES = HistoryEntrySchema.field.changes.number;
const { before: BEFORE, after: AFTER } = ChangeSchema.field;
const SEGMENT = RecordSchema.field.segment.number;
const { included: INCLUDED, excluded: EXCLUDED } = SegmentSchema.field;

type Rewrite = (message: Uint8Array) => Uint8Array;

/**
 * An encoded HistoryEntry in which segments of more than `maxSegmentBytes` have counts instead of keys, as answers show
 * them. A million keys are passed over many times faster than they are decoded.
 */
export function omitLargeKeys(entry: Uint8Array, maxSegmentBytes: number): Uint8Array {
  /** Leaves alone what cannot hold a segment so large. */
  const within =
    (...fields: readonly [field: number, rewrite: Rewrite][]): Rewrite =>
    (message) =>
      message.length > maxSegmentBytes ? rewriteFields(message, new Map(fields)) : message;
  const segment: Rewrite = (message) => (message.length > maxSegmentBytes ? withoutKeys(message) : message);
  const record = within([SEGMENT, segment]);
  const change = within([BEFORE.number, record], [AFTER.number, record]);
  return within([CHANGES, change])(entry);
}

/** A message in which some fields, messages themselves, are written anew. */
function rewriteFields(message: Uint8Array, fields: ReadonlyMap<number, Rewrite>): Uint8Array {
  const reader = new BinaryReader(message);
  const writer = new BinaryWriter();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    const rewrite = wireType === WireType.LengthDelimited ? fields.get(field) : undefined;
    if (rewrite) {
      writer.tag(field, wireType).bytes(rewrite(reader.bytes()));
    } else {
      reader.skip(wireType, field);
      writer.raw(message.subarray(start, reader.pos));
    }
  }
  return writer.finish();
}

const INCLUDED_TAG = (INCLUDED.number << 3) | WireType.LengthDelimited;
const EXCLUDED_TAG = (EXCLUDED.number << 3) | WireType.LengthDelimited;

function withoutKeys(segment: Uint8Array): Uint8Array {
  const reader = new BinaryReader(segment);
  const writer = new BinaryWriter();
  let includedCount = 0;
  let excludedCount = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = segment[start];
    const length = segment[start + 1] ?? 0;
    // A key of one byte of length, as nearly all are, without the objects that the reader would make.
    const isShortKey = (tag === INCLUDED_TAG || tag === EXCLUDED_TAG) && length < 0x80;
    if (isShortKey) {
      reader.pos = start + 2 + length;
    } else {
      const [field, wireType] = reader.tag();
      reader.skip(wireType, field);
    }
    if (tag === INCLUDED_TAG) includedCount++;
    else if (tag === EXCLUDED_TAG) excludedCount++;
    else writer.raw(segment.subarray(start, reader.pos));
  }
  if (reader.pos !== reader.len) throw new RangeError("a key does not end where it says");
  const keysOmitted = includedCount + excludedCount > 0;
  return writer
    .raw(toBinary(SegmentSchema, create(SegmentSchema, { includedCount, excludedCount, keysOmitted })))
    .finish();
}
