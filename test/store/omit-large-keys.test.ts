import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Change,
  ChangeSchema,
  HistoryEntrySchema,
  type Record,
  RecordSchema,
} from "../../gen/flagwire/v1/history_pb.js";
import { type Segment, SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { omitLargeKeys } from "../../src/store/omit-large-keys.js";
import { flagRecord } from "./fixtures.js";

const { changes: CHANGES } = HistoryEntrySchema.field;
const { after: AFTER } = ChangeSchema.field;
const { segment: SEGMENT } = RecordSchema.field;

const segmentRecord = (value: Segment): Record => create(RecordSchema, { kind: { case: "segment", value } });

/** Keys of lengths that take one byte, and of such that take two or three. */
const keys = fc.array(
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer({ min: 126, max: 130 }).map(repeated),
    fc.constant(repeated(20_000)),
  ),
  { maxLength: 8 },
);
const condition = fc.constantFrom(undefined, { kind: { case: "segment" as const, value: "other".repeat(100) } });
const segment = fc.record({ description: fc.string(), included: keys, excluded: keys, condition }).map((parts) =>
  create(SegmentSchema, {
    key: "s",
    environment: "production",
    revision: 7n,
    description: parts.description,
    included: parts.included,
    excluded: parts.excluded,
    ...(parts.condition && { condition: parts.condition }),
  }),
);
const record = fc.oneof(segment.map(segmentRecord), fc.constant(flagRecord("a", "x".repeat(2_000))));
const entry = fc
  .array(fc.record({ before: record, after: record }), { maxLength: 3 })
  .map((changes) => create(HistoryEntrySchema, { revision: 8n, author: "ann", changes }));

function repeated(length: number): string {
  return "k".repeat(length);
}

function delimited(field: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish();
}

/** What an answer shows of a record. */
function counted(kept: Record | undefined, maxSegmentBytes: number): Record | undefined {
  if (kept?.kind.case !== "segment") return kept;
  const { value } = kept.kind;
  if (toBinary(SegmentSchema, value).length <= maxSegmentBytes) return kept;
  const [includedCount, excludedCount] = [value.included.length, value.excluded.length];
  const keysOmitted = includedCount + excludedCount > 0;
  const counts = { included: [], excluded: [], includedCount, excludedCount, keysOmitted };
  return segmentRecord(create(SegmentSchema, { ...value, ...counts }));
}

function omitted(bytes: Uint8Array, maxSegmentBytes: number) {
  return fromBinary(HistoryEntrySchema, omitLargeKeys(bytes, maxSegmentBytes));
}

describe("an encoded entry without the keys of large segments", () => {
  it("is the entry with counts in their place, and all else as it was", () => {
    fc.assert(
      fc.property(entry, fc.constantFrom(0, 50, 200, 1_000, 30_000, 10_000_000), (one, maxSegmentBytes) => {
        const changes = one.changes.map((change: Change) => ({
          ...change,
          before: counted(change.before, maxSegmentBytes),
          after: counted(change.after, maxSegmentBytes),
        }));
        const { changes: found, ...rest } = omitted(toBinary(HistoryEntrySchema, one), maxSegmentBytes);
        expect(found).toEqual(changes);
        expect(rest).toMatchObject({ revision: 8n, author: "ann" });
      }),
    );
  });

  it("keeps what a newer version has written into a segment", () => {
    const group = new BinaryWriter().tag(99, WireType.StartGroup).tag(1, WireType.Varint).uint32(300);
    const unknown = group.tag(99, WireType.EndGroup).tag(98, WireType.Varint).uint32(300).finish();
    const known = toBinary(SegmentSchema, create(SegmentSchema, { key: "s", included: ["u", "v"] }));
    const change = delimited(AFTER.number, delimited(SEGMENT.number, Buffer.concat([unknown, known, unknown])));
    const value = omitted(delimited(CHANGES.number, change), 0).changes[0]?.after?.kind.value;
    expect(value).toMatchObject({ key: "s", included: [], includedCount: 2, keysOmitted: true });
    expect(value?.$unknown).toHaveLength(4);
  });

  it("is an error where a key ends beyond its segment", () => {
    const one = create(HistoryEntrySchema, {
      changes: [{ after: segmentRecord(create(SegmentSchema, { included: ["abc"] })) }],
    });
    const bytes = toBinary(HistoryEntrySchema, one);
    bytes[bytes.length - 4] = 4;
    expect(() => omitLargeKeys(bytes, 0)).toThrow("does not end where it says");
  });
});
