import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Context, Snapshot } from "../../src/engine/index.js";
import {
  any,
  ask,
  deletedFlag,
  flag,
  inSegment,
  match,
  not,
  position,
  rule,
  segment,
  serve,
  snapshotOf,
} from "./build.js";

// What is large must be answered right. That it costs nothing when it is asked for is shown by counting how often the
// context is read, not by a clock.

/** A context that counts how often each of its attributes is looked at. */
function counted(attributes: Context): { context: Context; reads: () => number } {
  let reads = 0;
  const context = new Proxy(attributes, {
    get(target, name) {
      reads++;
      return Reflect.get(target, name);
    },
  });
  return { context, reads: () => reads };
}

/** How often a flag's answer reads the context. */
function readsOf(snapshot: Snapshot, key: string, attributes: Context): number {
  const { context, reads } = counted(attributes);
  ask(snapshot, key, context);
  return reads();
}

const users = (count: number, prefix = "user") => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

describe("a target list of 100,000 keys", () => {
  const SIZE = 100_000;
  const targets = (size: number) => [
    { variant: "b", targetingKeys: users(size) },
    { variant: "c", targetingKeys: users(size, "guest") },
  ];
  const snapshot = snapshotOf(flag("large", { targets: targets(SIZE) }), flag("small", { targets: targets(1) }));

  test("is found from the first to the last, and nobody else", () => {
    const variants = ["user-0", `user-${SIZE - 1}`, "guest-50000", `user-${SIZE}`, "user-00", "user"].map(
      (targetingKey) => ask(snapshot, "large", { targetingKey }).variant,
    );
    expect(variants).toEqual(["b", "b", "c", "a", "a", "a"]);
    for (const targetingKey of users(SIZE)) {
      if (ask(snapshot, "large", { targetingKey }).variant !== "b") throw new Error(`${targetingKey} is not found`);
    }
  });

  test("reads the context as often as a list of one", () => {
    for (const targetingKey of ["user-0", `user-${SIZE - 1}`, "nobody"]) {
      expect(readsOf(snapshot, "large", { targetingKey })).toBe(readsOf(snapshot, "small", { targetingKey }));
    }
  });
});

describe("a list of 100,000 values for IN", () => {
  const SIZE = 100_000;
  const mixed = (size: number) => [...users(size), ...Array.from({ length: size }, (_, index) => index * 2), true];
  const lists = (size: number, ignoreCase: boolean) =>
    flag(`${size}${ignoreCase ? " folded" : ""}`, {
      rules: [rule(match("id", Operator.IN, mixed(size), { ignoreCase }))],
    });
  const snapshot = snapshotOf(lists(SIZE, false), lists(SIZE, true), lists(1, false));

  test("holds for each of them, in type too, and for nothing else", () => {
    const isIn = (id: unknown) => ask(snapshot, `${SIZE}`, { id }).variant === "b";
    for (const id of mixed(SIZE)) if (!isIn(id)) throw new Error(`${id} is not found`);
    for (const id of [`user-${SIZE}`, 1, SIZE * 2, "0", false, "true", "USER-0", null, {}, []])
      expect(isIn(id)).toBe(false);
    expect(isIn(["nobody", `user-${SIZE - 1}`])).toBe(true);
    expect(isIn(users(1_000, "nobody"))).toBe(false);
  });

  test("holds without regard to case where it does not count", () => {
    expect(ask(snapshot, `${SIZE} folded`, { id: `USER-${SIZE - 1}` }).variant).toBe("b");
    expect(ask(snapshot, `${SIZE} folded`, { id: `USER-${SIZE}` }).variant).toBe("a");
  });

  test("reads the context as often as a list of one", () => {
    for (const id of ["user-0", `user-${SIZE - 1}`, "nobody", 7]) {
      expect(readsOf(snapshot, `${SIZE}`, { id })).toBe(readsOf(snapshot, "1", { id }));
    }
  });
});

describe("a segment of 1,000,000 keys", () => {
  const SIZE = 1_000_000;
  const included = users(SIZE);
  const isGuest = match("targetingKey", Operator.STARTS_WITH, ["guest-"]);
  const snapshot = snapshotOf(
    flag("large", { rules: [rule(inSegment("large"))] }),
    flag("not-large", { rules: [rule(not(inSegment("large")))] }),
    flag("small", { rules: [rule(inSegment("small"))] }),
    segment("large", { included, excluded: users(1_000, "guest"), condition: isGuest }),
    segment("small", { included: users(1), excluded: users(1, "guest"), condition: isGuest }),
  );

  test("has its first and its last member, not whom it excludes, and else whom its condition says", () => {
    const answers = ["user-0", `user-${SIZE - 1}`, "guest-0", "guest-999", "guest-1000", `user-${SIZE}`, ""].map(
      (targetingKey) => [
        ask(snapshot, "large", { targetingKey }).variant,
        ask(snapshot, "not-large", { targetingKey }).variant,
      ],
    );
    const [member, stranger] = [
      ["b", "a"],
      ["a", "b"],
    ];
    expect(answers).toEqual([member, member, stranger, stranger, member, stranger, stranger]);
    for (let index = 0; index < SIZE; index += 997) {
      expect(ask(snapshot, "large", { targetingKey: included[index] }).variant).toBe("b");
    }
  });

  test("reads the context as often as a segment of one", () => {
    for (const targetingKey of ["user-0", "guest-0", "nobody"]) {
      expect(readsOf(snapshot, "large", { targetingKey })).toBe(readsOf(snapshot, "small", { targetingKey }));
    }
  });
});

describe("a snapshot of 10,000 flags", () => {
  const SIZE = 10_000;
  const key = (index: number) => `flag-${index}`;
  const items = Array.from({ length: SIZE }, (_, index) => {
    const plan = match("plan", Operator.IN, [`plan-${index}`]);
    const required = { flagKey: key(index - 1), variants: ["a"] };
    return flag(key(index), {
      prerequisites: index % 5 === 1 ? [required] : [],
      rules: [rule(any(plan, inSegment("staff")))],
      default: serve("a"),
    });
  });
  const snapshot = snapshotOf(...items, segment("staff", { included: ["ann"] }));

  test("answers each flag as if it were alone", () => {
    expect(snapshot.size).toBe(SIZE);
    expect(snapshot.flags().flatMap(({ problems }) => problems)).toEqual([]);
    for (let index = 0; index < SIZE; index++) {
      expect(ask(snapshot, key(index), { plan: `plan-${index}` })).toMatchObject({ flagKey: key(index), variant: "b" });
      expect(ask(snapshot, key(index), { plan: "none" })).toMatchObject({ flagKey: key(index), variant: "a" });
    }
  });

  test("is listed by key", () => {
    const keys = snapshot.flags().map((compiled) => compiled.key);
    expect(keys).toEqual(items.map((_, index) => key(index)).sort());
  });

  test("compiles anew what changes and what depends on it, and nothing else", () => {
    const after = snapshot.apply("delta", [flag(key(5), { default: serve("c") }), deletedFlag(key(7))], position(2));
    expect([...after.changedKeys].sort()).toEqual([key(5), key(6), key(7)]);
    expect(after.size).toBe(SIZE - 1);
    expect(after.flags().filter((compiled) => compiled !== snapshot.flag(compiled.key))).toHaveLength(2);
    expect(ask(after, key(6)).reason).toBe("PREREQUISITE_FAILED");
  });

  test("compiles all of them anew where all use the segment that changes", () => {
    const after = snapshot.apply("delta", [segment("staff", { included: ["bob"] })], position(2));
    expect(after.changedKeys.size).toBe(SIZE);
    expect(ask(after, key(8), { targetingKey: "bob" }).variant).toBe("b");
    expect(ask(snapshot, key(8), { targetingKey: "bob" }).variant).toBe("a");
  });
});
