import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { expect, test } from "vitest";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { emptySnapshot } from "../../src/engine/index.js";
import { SyncCursor, syncTooLarge } from "../../src/server/flagd/sync-cursor.js";
import { SyncEnvironment, type SyncState } from "../../src/server/flagd/sync-environment.js";
import { SyncFragments } from "../../src/server/flagd/sync-fragments.js";
import { Announcements } from "../../src/server/state/announcements.js";
import { Catalog } from "../../src/server/state/catalog.js";
import { HeadCursor } from "../../src/server/state/head-cursor.js";
import { allItems } from "../../src/server/state/watch-items.js";
import { type RecordId, recordId } from "../../src/store/index.js";
import { position } from "../engine/build.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { enabled, flagOf } from "./evaluation-support.js";
import { flagsOf } from "./sync-support.js";

/** An environment of some flags whose text can be set, and what was told of it. */
function follow(keys: readonly string[], clock = new VirtualClock(), first = "first") {
  const texts = new Map(keys.map((key) => [key, first]));
  const told: (SyncState | undefined)[] = [];
  let revision = 1;
  const read = () => {
    const records = new Map<RecordId, Record>();
    for (const [key, text] of texts) {
      const targeting = { ...enabled("a"), flagKey: key, environment: "production" };
      for (const kind of [
        { case: "flag", value: flagOf(key, { a: text }) },
        { case: "targeting", value: targeting },
      ] as const) {
        const record = create(RecordSchema, { kind });
        const id = recordId(record);
        if (id !== undefined) records.set(id, record);
      }
    }
    const catalog = Catalog.of(records);
    const items = allItems(catalog, "production");
    return { catalog, snapshot: emptySnapshot("production").apply("full", items, position(revision++)) };
  };
  let now = read();
  const environment: SyncEnvironment = new SyncEnvironment({
    name: "production",
    head: {
      get catalog() {
        return now.catalog;
      },
      snapshot: () => now.snapshot,
    },
    clock,
    log: pino({ level: "silent" }),
    fragments: new SyncFragments(),
    onChange: () => told.push(environment.state),
  });
  return {
    environment,
    clock,
    told,
    set(key: string, text: string) {
      texts.set(key, text);
      now = read();
      environment.moved();
    },
  };
}

function textsOf(state: SyncState | undefined): unknown[] {
  if (state?.kind !== "ready") return [state?.kind];
  return Object.values(flagsOf(state.message)).map(({ variants }) => (variants as { a: string }).a);
}

test("the first change is told at once, and those that follow soon are told together", async () => {
  const { environment, clock, told, set } = follow(["x", "y"]);
  environment.follow();
  await environment.current();
  await clock.advance(1_000);
  set("x", "second");
  await expect
    .poll(() => told.map(textsOf))
    .toEqual([
      ["first", "first"],
      ["second", "first"],
    ]);
  set("x", "third");
  set("y", "third");
  set("x", "fourth");
  await clock.advance(50);
  expect(told).toHaveLength(2);
  await clock.advance(60);
  await expect.poll(() => told.map(textsOf)).toHaveLength(3);
  expect(textsOf(environment.state)).toEqual(["fourth", "third"]);
});

test("what changes back is not told", async () => {
  const { environment, clock, told, set } = follow(["x"]);
  environment.follow();
  await environment.current();
  set("x", "second");
  set("x", "first");
  await clock.advance(1_000);
  await environment.current();
  expect(told).toHaveLength(1);
});

test("what nobody follows is not translated, and is no longer taken for current when somebody does again", async () => {
  const { environment, clock, told, set } = follow(["x"]);
  set("x", "second");
  await clock.advance(1_000);
  expect(told).toHaveLength(0);
  environment.follow();
  await expect.poll(() => textsOf(environment.state)).toEqual(["second"]);
  environment.unfollow();
  await clock.advance(1_000);
  set("x", "third");
  expect(textsOf(environment.state)).toEqual(["second"]);
  environment.follow();
  expect(textsOf(environment.state)).toEqual(["preparing"]);
  await expect.poll(() => textsOf(environment.state)).toEqual(["third"]);
});

/** On which every look at the time finds that a slice is over. */
class HurryingClock extends VirtualClock {
  looks = 0;

  override monotonicMs(): number {
    this.looks += 1;
    return this.looks * 1_000;
  }
}

test("many flags are translated in slices, and are of one revision even if that changes meanwhile", async () => {
  const clock = new HurryingClock();
  const keys = Array.from({ length: 100 }, (_, index) => `f${String(index).padStart(2, "0")}`);
  const { environment, told, set } = follow(keys, clock);
  environment.follow();
  await new Promise((resolve) => setImmediate(resolve));
  const looks = clock.looks;
  expect(textsOf(environment.state)).toEqual(["preparing"]);
  set("f00", "second");
  set("f99", "second");
  await environment.current();
  expect(looks).toBeGreaterThan(0);
  expect(clock.looks).toBeGreaterThan(looks + 4);
  expect(textsOf(environment.state).filter((text) => text === "second")).toHaveLength(2);
  expect(told).toHaveLength(1);
});

test("a flag that no client could take is left out, so that the others arrive", async () => {
  const { environment, set } = follow(["x", "y"]);
  set("x", "x".repeat(5 * 1_024 * 1_024));
  environment.follow();
  expect(textsOf(await environment.current())).toEqual(["first"]);
});

test("more than 64 MiB is refused, with its size", async () => {
  const keys = Array.from({ length: 17 }, (_, index) => `f${index}`);
  // Six bytes each in JSON: a flag is just below what clients take.
  const { environment } = follow(keys, new VirtualClock(), "\u0001".repeat(690_000));
  const state = await environment.current();
  // Nothing else of it is compared: what is not as expected would be printed.
  expect(state?.kind).toBe("too-large");
  const sizeBytes = state?.kind === "too-large" ? state.sizeBytes : 0;
  expect(sizeBytes).toBeGreaterThan(64 * 1_024 * 1_024);
  const refused = { code: "RESOURCE_EXHAUSTED", reason: "PAYLOAD_TOO_LARGE" };
  expect(syncTooLarge(sizeBytes)).toMatchObject({ ...refused, message: expect.stringContaining(`${sizeBytes} bytes`) });
});

test("who comes when nobody was there does not wait for those before", async () => {
  const { environment, set } = follow(["x"]);
  environment.follow();
  await environment.current();
  environment.unfollow();
  // The clock stands still: the pause after the first payload never ends.
  set("x", "second");
  environment.follow();
  await expect.poll(() => textsOf(environment.state)).toEqual(["second"]);
  environment.unfollow();
  set("x", "third");
  expect(textsOf(await environment.current())).toEqual(["third"]);
});

test("what nobody follows is let go of after a minute, and made again for who asks", async () => {
  const { environment, clock } = follow(["x"]);
  environment.follow();
  await environment.current();
  environment.unfollow();
  await clock.advance(59_000);
  expect(textsOf(environment.state)).toEqual(["first"]);
  environment.follow();
  await clock.advance(120_000);
  expect(textsOf(environment.state)).toEqual(["first"]);
  environment.unfollow();
  await clock.advance(60_000);
  expect(environment.state).toEqual({ kind: "preparing" });
  expect(textsOf(await environment.current())).toEqual(["first"]);
});

test("a stream that is closed, however often, is one follower less", async () => {
  const { environment, clock, told, set } = follow(["x"]);
  const open = () => {
    environment.follow();
    const parts = { announcements: new Announcements(), clock, read: () => environment.state, silenceMs: 1_000 };
    return new SyncCursor(new HeadCursor(parts, () => undefined), environment);
  };
  const [first, second] = [open(), open()];
  await environment.current();
  first.close();
  first.close();
  await clock.advance(1_000);
  set("x", "second");
  await expect.poll(() => told.map(textsOf)).toEqual([["first"], ["second"]]);
  second.close();
  await clock.advance(1_000);
  set("x", "third");
  await clock.advance(1_000);
  expect(told).toHaveLength(2);
  expect(clock.pendingTimers).toBe(1);
});
