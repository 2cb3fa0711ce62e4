import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import type { Context } from "../../src/engine/index.js";
import { putEnvironment } from "../../src/server/admin/records.js";
import type { KeptContextsOptions } from "../../src/server/contexts/open-kept-contexts.js";
import { environmentsOf, type KeptContexts, openKeptContexts } from "../../src/server/index.js";
import { environmentId, openMemoryStore, type SideTable } from "../../src/store/index.js";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { commit } from "../store/fixtures.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

const START_MS = Date.UTC(2026, 0, 1);

/** A store to open contexts on, one after the other, as processes would. */
async function openWorld() {
  const clock = new SetClock(START_MS);
  const store = await openMemoryStore({ history: { maxEntries: 3 }, window: { maxEntries: 1 } });
  const { side } = store;
  if (side === undefined) throw new Error("the store owns its data");
  return {
    clock,
    side,
    store,
    async open(table: SideTable = side, followed: KeptContextsOptions["store"] = store) {
      const start = environmentsOf(await store.load());
      const contexts = openKeptContexts({ store: followed, side: table, clock, start });
      onTestFinished(() => contexts.close());
      return contexts;
    },
    /** Sets the environment. */
    set(keepContexts: boolean, privateAttributes: string[] = [], description = "") {
      const environment = { name: "production", keepContexts, privateAttributes, description };
      return commit(store, [putEnvironment(create(EnvironmentSchema, environment))]);
    },
    remove: () => commit(store, [{ id: environmentId("production"), after: undefined }]),
  };
}

/** One that can be set back. */
class SetClock extends VirtualClock {
  aheadMs = 0;

  override now(): number {
    return super.now() + this.aheadMs;
  }
}

const users = (from: number, to: number): Context[] =>
  Array.from({ length: to - from }, (_, index) => ({ targetingKey: `user-${from + index}` }));

const keysOf = (contexts: readonly Context[]) => contexts.map(({ targetingKey }) => targetingKey).sort();

async function listed(contexts: KeptContexts): Promise<Context[]> {
  return (await contexts.list("production")).map(({ context }) => context);
}

describe("kept contexts", () => {
  it("are listed with the newest first, and when they were kept", async () => {
    const { clock, open, set } = await openWorld();
    await set(true);
    const contexts = await open();
    await contexts.keep("production", [{ targetingKey: "ann", plan: "pro" }]);
    await clock.advance(10);
    await contexts.keep("production", [{}]);
    expect(await contexts.list("production")).toEqual([
      { context: {}, keptMs: START_MS + 10 },
      { context: { targetingKey: "ann", plan: "pro" }, keptMs: START_MS },
    ]);
    expect(await contexts.count("production")).toBe(2);
  });

  it("are as they were when they were kept, in memory that is bounded by their texts", async () => {
    const { open, set } = await openWorld();
    await set(true);
    const contexts = await open();
    const context = { targetingKey: "ann", app: { version: "1" } };
    await contexts.keep("production", [context]);
    context.app.version = "2";
    expect(await listed(contexts)).toEqual([{ targetingKey: "ann", app: { version: "1" } }]);
  });

  it("are kept again soon where the clock was ahead when that began", async () => {
    const { clock, open, set } = await openWorld();
    clock.aheadMs = 86_400_000;
    await set(true);
    const contexts = await open();
    clock.aheadMs = 0;
    await contexts.keep("production", users(0, 1), START_MS - 5_000);
    expect(await listed(contexts)).toEqual([]);
    await clock.advance(5_000);
    await contexts.keep("production", users(1, 2), START_MS);
    expect(await listed(contexts)).toEqual(users(1, 2));
    clock.aheadMs = 86_400_000;
    await contexts.keep("production", users(2, 3), START_MS);
    expect(await listed(contexts)).toEqual(users(1, 2));
  });

  it("are none where the environment keeps none, or does not exist", async () => {
    const { open, set } = await openWorld();
    await set(false);
    const contexts = await open();
    await contexts.keep("production", users(0, 1));
    await contexts.keep("nope", users(0, 1));
    expect(await listed(contexts)).toEqual([]);
    expect(await contexts.list("nope")).toEqual([]);
  });

  it("are the newest thousand, also over restarts, in as many rows", async () => {
    const { clock, side, open, set } = await openWorld();
    await set(true);
    const first = await open();
    await first.keep("production", users(0, 900));
    await first.close();
    await clock.advance(1_000);
    const second = await open();
    await second.keep("production", users(900, 2_050));
    const newest = keysOf(users(1_050, 2_050));
    expect(keysOf(await listed(second))).toEqual(newest);
    await second.close();
    const third = await open();
    expect(keysOf(await listed(third))).toEqual(newest);
    expect(side.entries()).toHaveLength(1_001);
  });

  it("take the place of those like them: of the same subject, or without one and the same", async () => {
    const { open, set } = await openWorld();
    await set(true);
    const contexts = await open();
    const kept = [{ targetingKey: "ann", plan: "free" }, { plan: "free" }, { plan: "pro" }];
    await contexts.keep("production", [...kept, { plan: "free" }, { targetingKey: "ann", plan: "pro" }]);
    expect(await listed(contexts)).toEqual([{ targetingKey: "ann", plan: "pro" }, { plan: "free" }, { plan: "pro" }]);
  });

  it("are of at most 4 KiB as JSON", async () => {
    const { open, set } = await openWorld();
    await set(true);
    const contexts = await open();
    const sizes = [4_088, 4_089, 2_044, 2_045];
    await contexts.keep(
      "production",
      sizes.map((size) => ({ a: (size > 4_000 ? "x" : "ü").repeat(size) })),
    );
    // With the 8 of {"a":""}.
    expect((await listed(contexts)).map(({ a }) => String(a).length)).toEqual([2_044, 4_088]);
  });

  it("outlast a restart; of a process that was killed the last seconds are lost", async () => {
    const { clock, open, set } = await openWorld();
    await set(true);
    const killed = await open();
    await killed.keep("production", users(0, 2));
    await clock.advance(4_000);
    await killed.keep("production", users(2, 3));
    const next = await open();
    expect(keysOf(await listed(next))).toEqual(["user-0", "user-1"]);
  });

  it("are lost in no restart that follows another change of the environment", async () => {
    const { clock, open, set } = await openWorld();
    await set(true, ["email", "ip"]);
    const first = await open();
    await first.keep("production", users(0, 2));
    await set(true, ["ip"], "described");
    expect(await listed(first)).toHaveLength(2);
    await clock.advance(4_000);
    expect(await listed(await open())).toHaveLength(2);
  });

  it.each<[string, (scope: string, epoch: string) => string]>([
    ["another epoch, whose revisions mean something else", (scope, epoch) => scope.replace(epoch, "another")],
    ["nobody knows when", () => "x"],
  ])("are not those of %s", async (_what, spoil) => {
    const { side, store, open, set } = await openWorld();
    await set(true);
    const first = await open();
    await first.keep("production", users(0, 1));
    await first.close();
    const [, scope] = side.entries().find(([key]) => key.endsWith("/scope")) ?? [];
    await side.write([["contexts/production/scope", spoil(scope ?? "", store.epoch)]]);
    const second = await open();
    expect(await listed(second)).toEqual([]);
    await second.keep("production", users(1, 2));
    await second.close();
    expect(await listed(await open())).toEqual(users(1, 2));
  });

  it("are told by nobody who has not heard of the newest revision", async () => {
    const { side, store, open, set } = await openWorld();
    await set(true);
    const contexts = await open(side, {
      epoch: store.epoch,
      edges: () => store.edges(),
      load: () => store.load(),
      async *tail(...from) {
        for await (const entry of store.tail(...from)) {
          await settle();
          yield entry;
        }
      },
    });
    await contexts.keep("production", users(0, 1));
    await set(false);
    expect(await listed(contexts)).toEqual([]);
    await set(true);
    await contexts.keep("production", users(1, 2));
    expect(await listed(contexts)).toEqual(users(1, 2));
  });

  it("come back from no damaged row, and leave alone what is somebody else's", async () => {
    const { side, open, set } = await openWorld();
    await set(true);
    const first = await open();
    await first.keep("production", users(0, 1));
    await first.close();
    const [row] = side.entries();
    const sound = row?.[1] ?? "";
    const damaged = ["x", "{}", "[]", '["1",0,[]]', '["x",0,{}]', '["1","0",{}]', sound.replace("{", '{"b":')];
    await side.write(damaged.map((text, index) => [`contexts/production/000${index + 1}`, text]));
    await side.write([
      ["contexts/production/7", sound],
      ["contexts/production/1000", sound.replace("user-0", "user-1")],
      ["contexts/production/0900", '["9",0,{"of":"others"}]'],
      ["contexts/gone/0000", sound],
      ["contexts/gone/scope", "x"],
      ["of somebody else", "x"],
    ]);
    const second = await open();
    expect(await listed(second)).toEqual(users(0, 1));
    await second.close();
    expect(side.entries().map(([key]) => key)).toEqual([
      "contexts/production/0000",
      "contexts/production/scope",
      "of somebody else",
    ]);
  });

  it("are written later where a full disk refuses them", async () => {
    const { clock, side, open, set } = await openWorld();
    await set(true);
    let refusals = 0;
    const write: SideTable["write"] = async (rows) => refusals++ > 0 && side.write(rows);
    const contexts = await open({ entries: (prefix) => side.entries(prefix), write });
    await contexts.keep("production", users(0, 1));
    await clock.advance(4_000);
    expect(side.entries()).toEqual([]);
    await clock.advance(4_000);
    expect(await listed(await open())).toEqual(users(0, 1));
    expect(clock.pendingTimers).toBe(0);
  });
});

type World = Awaited<ReturnType<typeof openWorld>>;

/** What ends in contexts being dropped, each with contexts being kept once more at the end. */
const drops: readonly [string, (world: World) => Promise<unknown>][] = [
  ["switched off, and on again", async ({ set }) => [await set(false), await set(true)]],
  ["deleted, and created anew", async ({ set, remove }) => [await remove(), await set(true)]],
  ["given more private attributes", ({ set }) => set(true, ["email"])],
];

describe("what was kept of an environment that was", () => {
  it.each(drops)("%s is dropped, from the disk too", async (_what, drop) => {
    const world = await openWorld();
    await world.set(true);
    const contexts = await world.open();
    await contexts.keep("production", users(0, 600));
    await world.clock.advance(4_000);
    await drop(world);
    expect(await listed(contexts)).toEqual([]);
    await world.clock.advance(0);
    expect(world.side.entries().map(([key]) => key)).toEqual(["contexts/production/scope"]);
    await contexts.keep("production", users(0, 1));
    expect(await listed(contexts)).toEqual(users(0, 1));
  });

  it.each(drops)("%s is not there after a restart, wherever the process ended in between", async (_what, drop) => {
    const world = await openWorld();
    await world.set(true);
    const first = await world.open();
    await first.keep("production", users(0, 600));
    await world.clock.advance(4_000);
    // The rows are there as they were, as if nobody had got to dropping them.
    const refusing: SideTable = { entries: (prefix) => world.side.entries(prefix), write: async () => false };
    const killed = await world.open(refusing);
    expect(await listed(killed)).toHaveLength(600);
    await first.close();
    await drop(world);
    await listed(killed);
    const next = await world.open();
    expect(await listed(next)).toEqual([]);
    await next.close();
    expect(world.side.entries().map(([key]) => key)).toEqual(["contexts/production/scope"]);
  });

  it.each(drops)("%s takes nothing in that was collected before", async (_what, drop) => {
    const world = await openWorld();
    await world.set(true);
    const contexts = await world.open();
    const collectedMs = world.clock.now();
    await world.clock.advance(1);
    await drop(world);
    await contexts.keep("production", users(0, 1), collectedMs);
    expect(await listed(contexts)).toEqual([]);
    await contexts.keep("production", users(0, 1), world.clock.now());
    expect(await listed(contexts)).toEqual(users(0, 1));
  });

  it("switched off is dropped, and so is it where history has been cut meanwhile", async () => {
    const world = await openWorld();
    await world.set(true);
    const contexts = await world.open();
    await contexts.keep("production", users(0, 1));
    // All in one turn: more than history and its window hold.
    await Promise.all([false, true, true, true, true].map((keeps, index) => world.set(keeps, [], `${index}`)));
    expect(await listed(contexts)).toEqual([]);
    await world.set(false);
    expect(await listed(contexts)).toEqual([]);
    await contexts.close();
    expect(world.side.entries()).toEqual([]);
  });
});

const names = ["email", "user", "user.email", "targetingKey", "list"];
const step = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), on: fc.boolean(), hidden: fc.subarray(names) }),
  fc.record({ kind: fc.constant("keep" as const), name: fc.constantFrom(...names) }),
  fc.constant({ kind: "delete" as const }),
  fc.constant({ kind: "wait" as const }),
  fc.constant({ kind: "restart" as const }),
);

/** One with a secret under a name, or inside of it. */
function secretIn(name: string): Context {
  const secret = secretOf(name);
  if (name === "user.email") return { user: { email: secret, name: "Ann" } };
  return name === "list" ? { list: [{ of: secret }] } : { [name]: secret };
}

const secretOf = (name: string) => `secret-${names.indexOf(name)}`;

/** Whether an attribute is private: by its name, or by that of one that it is inside of. */
const isHidden = (name: string, hidden: readonly string[]) =>
  hidden.some((other) => name === other || name.startsWith(`${other}.`));

it(`no value of a private attribute is kept or on disk, whatever happens (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const world = await openWorld();
      await world.set(true);
      let hidden: string[] = [];
      let contexts = await world.open();
      for (const next of steps) {
        if (next.kind === "set") {
          hidden = next.hidden;
          await world.set(next.on, hidden);
        } else if (next.kind === "keep") {
          await contexts.keep("production", [secretIn(next.name)]);
        } else if (next.kind === "delete") {
          await world.remove();
        } else {
          if (next.kind === "restart") await contexts.close();
          else await world.clock.advance(4_000);
          contexts = next.kind === "restart" ? await world.open() : contexts;
        }
        const told = JSON.stringify(await listed(contexts));
        await world.clock.advance(0);
        const kept = told + JSON.stringify(world.side.entries());
        for (const name of names) if (isHidden(name, hidden)) expect(kept).not.toContain(secretOf(name));
      }
      await contexts.close();
    }),
    runs(60),
  );
});
