import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Change, ChangeSchema, HistoryEntrySchema } from "../../gen/flagwire/v1/history_pb.js";
import { outlineOf, readOutlines } from "../../src/store/history-outline.js";
import { environmentRecord, flagRecord, reservedKeyRecord, segmentRecord, targetingRecord } from "./fixtures.js";

const CHANGES = HistoryEntrySchema.field.changes.number;
const { before: BEFORE, after: AFTER, key: KEY } = ChangeSchema.field;

const records = [
  flagRecord("a", "first"),
  targetingRecord("production", "a"),
  segmentRecord("production", "beta"),
  environmentRecord("staging"),
  reservedKeyRecord("old"),
];
const change: fc.Arbitrary<Change> = fc
  .record({
    key: fc.string({ unit: "binary", maxLength: 200 }),
    environment: fc.string({ maxLength: 10 }),
    record: fc.constantFrom(...records),
    sides: fc.constantFrom("before", "after", "both"),
  })
  .map(({ key, environment, record, sides }) =>
    create(ChangeSchema, {
      key,
      environment,
      ...(sides !== "after" && { before: record }),
      ...(sides !== "before" && { after: record }),
    }),
  );
const entry = fc
  .array(change, { maxLength: 5 })
  .map((changes) => create(HistoryEntrySchema, { revision: 2n ** 60n, author: "ann", changes, omittedChanges: 7 }));

const delimited = (field: number, bytes: Uint8Array) =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish();
const text = (value: string) => new BinaryWriter().string(value).finish().subarray(1);

describe("the outline of an encoded entry", () => {
  it("is that of the entry itself", () => {
    fc.assert(
      fc.property(entry, (one) => {
        expect([...readOutlines(toBinary(HistoryEntrySchema, one))]).toEqual(one.changes.map(outlineOf));
      }),
    );
  });

  it("passes over what a newer version has written, in any order", () => {
    const group = new BinaryWriter().tag(99, WireType.StartGroup).tag(1, WireType.Varint).uint32(300);
    const number = new BinaryWriter().tag(98, WireType.Varint).uint32(300).finish();
    const unknown = Buffer.concat([group.tag(99, WireType.EndGroup).finish(), number]);
    const newer = Buffer.concat([unknown, delimited(97, text("another kind"))]);
    const known = Buffer.concat([unknown, toBinary(ChangeSchema, create(ChangeSchema, { after: flagRecord("a") }))]);
    const bytes = Buffer.concat([
      unknown,
      delimited(CHANGES, Buffer.concat([delimited(BEFORE.number, newer), delimited(KEY.number, text("x"))])),
      delimited(CHANGES, Buffer.concat([delimited(AFTER.number, newer), unknown])),
      delimited(CHANGES, Buffer.concat([known, delimited(KEY.number, text("a"))])),
    ]);
    expect([...readOutlines(bytes)]).toEqual([
      { kind: undefined, key: "x", environment: "", isDeletion: true },
      { kind: undefined, key: "", environment: "", isDeletion: false },
      { kind: "flag", key: "a", environment: "", isDeletion: false },
    ]);
  });

  it("comes to an end for any bytes, by an error or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          for (const { key } of readOutlines(bytes)) expect(typeof key).toBe("string");
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  it("is an error where a change ends within a record, or a record within a field", () => {
    const bytes = delimited(CHANGES, delimited(AFTER.number, delimited(1, text("record"))));
    for (const length of [2, 3, 4, 6, bytes.length - 1]) {
      expect(() => [...readOutlines(bytes.subarray(0, length))]).toThrow();
    }
    const inner = Buffer.from(bytes);
    inner[3] = 3;
    expect(() => [...readOutlines(inner)]).toThrow("does not end where it says");
  });
});
