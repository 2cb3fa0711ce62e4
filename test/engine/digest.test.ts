import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot } from "../../src/engine/index.js";
import {
  deletedFlag,
  deletedSegment,
  flag,
  position,
  rule,
  segment,
  snapshotOf,
  unsetCondition,
  value,
} from "./build.js";
import { digestOf } from "./reference.js";

const items = [
  flag("x", { revision: 7n }, { revision: 3n }),
  flag("y", { revision: 2n ** 64n - 1n }, { revision: 2n ** 53n + 1n }),
  flag("malformed", { rules: [rule(unsetCondition())] }, { revision: 12n }),
  segment("x", { revision: 7n }),
  segment("été", { revision: 9n }),
  segment("large", { revision: 9n, included: ["a", "b"], excluded: ["c"], includedCount: 2, excludedCount: 1 }),
];

describe("the digest", () => {
  test("of nothing is sixteen zeros", () => {
    expect(emptySnapshot("production").digest).toBe("0000000000000000");
    expect(digestOf([])).toBe("0000000000000000");
  });

  test("is what watch.proto says, by an independent implementation", () => {
    for (const item of items) expect(snapshotOf(item).digest).toBe(digestOf([item]));
    expect(snapshotOf(...items).digest).toBe(digestOf(items));
    expect(digestOf(items)).toMatch(/^[0-9a-f]{16}$/);
  });

  test("counts a flag without a targeting with targeting revision 0", () => {
    const bare = create(WatchItemSchema, {
      kind: {
        case: "flag",
        value: { flag: { key: "x", type: FlagType.STRING, variants: { a: value("A") }, revision: 5n } },
      },
    });
    expect(snapshotOf(bare).digest).toBe(digestOf([bare]));
    expect(snapshotOf(bare).digest).toBe(snapshotOf(flag("x", { revision: 0n }, { revision: 5n })).digest);
  });

  test("is the same whatever the order", () => {
    expect(snapshotOf(...items.toReversed()).digest).toBe(snapshotOf(...items).digest);
  });

  test("tells a flag from a segment of the same key and revision", () => {
    expect(snapshotOf(flag("x", { revision: 0n })).digest).not.toBe(snapshotOf(segment("x")).digest);
  });

  test.each<[what: string, item: WatchItem]>([
    ["key", flag("w", { revision: 7n }, { revision: 3n })],
    ["flag revision", flag("x", { revision: 7n }, { revision: 4n })],
    ["targeting revision", flag("x", { revision: 8n }, { revision: 3n })],
  ])("changes with the %s", (_what, item) => {
    expect(snapshotOf(item).digest).not.toBe(digestOf(items.slice(0, 1)));
  });

  test("is the same after changes one by one as from scratch", () => {
    let snapshot = emptySnapshot("production");
    const changes = [
      ...items,
      flag("x", { revision: 20n }, { revision: 3n }),
      flag("gone", { revision: 21n }),
      deletedFlag("gone"),
      deletedFlag("y"),
      deletedFlag("never"),
      segment("x", { revision: 22n }),
      deletedSegment("été"),
      deletedSegment("large"),
    ];
    for (const [index, change] of changes.entries()) snapshot = snapshot.apply("delta", [change], position(index + 1));
    const left = [
      flag("x", { revision: 20n }, { revision: 3n }),
      flag("malformed", {}, { revision: 12n }),
      segment("x", { revision: 22n }),
    ];
    expect(snapshot.digest).toBe(digestOf(left));
    for (const key of ["x", "malformed"]) snapshot = snapshot.apply("delta", [deletedFlag(key)], position(99));
    expect(snapshot.apply("delta", [deletedSegment("x")], position(99)).digest).toBe("0000000000000000");
  });

  test("counts an item that one update carries twice once", () => {
    const twice = [flag("x", { revision: 1n }), flag("x", { revision: 2n })];
    expect(snapshotOf(...twice).digest).toBe(digestOf(twice.slice(1)));
  });
});
