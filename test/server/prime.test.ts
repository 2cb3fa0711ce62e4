import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { type HistoryEntry, HistoryEntrySchema } from "../../gen/flagwire/v1/history_pb.js";
import { readPast } from "../../src/server/state/prime.js";

const keys = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);

/** Oldest last. The one at revision 2 has a segment before and after. */
async function* history(before: object, after: object): AsyncGenerator<HistoryEntry> {
  const flag = { after: { kind: { case: "flag" as const, value: { key: "a" } } } };
  const segment = (lists: object) => ({
    kind: { case: "segment" as const, value: { key: "s", environment: "production", ...lists } },
  });
  yield create(HistoryEntrySchema, { revision: 3n, changes: [flag] });
  yield create(HistoryEntrySchema, { revision: 2n, changes: [{ before: segment(before), after: segment(after) }] });
}

it.each([
  ["before", { included: keys(200_000) }, {}],
  ["after", {}, { included: keys(200_000) }],
  ["excluded", {}, { excluded: keys(200_000) }],
  ["in all lists together", { included: keys(50_000), excluded: keys(50_000) }, { excluded: keys(100_000) }],
])("an entry of a segment with very many keys, %s, ends the past", async (_where, before, after) => {
  const past = await readPast(history(before, after), 3n, ["production"]);
  expect(past.get("production")).toMatchObject({ floor: 2n, changes: [{ revision: 3n }] });
});

it("an entry of a segment with as many keys as may be read belongs to the past", async () => {
  const past = await readPast(history({}, { included: keys(199_998) }), 3n, ["production"]);
  expect(past.get("production")).toMatchObject({ floor: 1n, changes: [{ revision: 2n }, { revision: 3n }] });
});

it("a state that is newer than its history has no past: nobody could resume across what is missing", async () => {
  const past = await readPast(history({}, {}), 5n, ["production"]);
  expect(past.get("production")).toMatchObject({ floor: 5n, changes: [] });
});
