import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { cloneRecord } from "../../src/store/index.js";

it("a copy of a segment's record shares neither its lists nor its condition", () => {
  const all = { case: "all" as const, value: { conditions: [] } };
  const value = create(SegmentSchema, {
    key: "s",
    included: ["in"],
    excluded: ["out"],
    condition: { kind: all },
  });
  const record = create(RecordSchema, { kind: { case: "segment", value } });
  const copy = cloneRecord(record);
  expect(copy).toEqual(record);
  if (record.kind.case !== "segment" || copy.kind.case !== "segment") throw new Error("no segment");
  copy.kind.value.included.push("more");
  copy.kind.value.excluded.push("more");
  if (copy.kind.value.condition) copy.kind.value.condition.kind = { case: "segment", value: "t" };
  expect(record.kind.value).toMatchObject({ included: ["in"], excluded: ["out"], condition: { kind: all } });
});
