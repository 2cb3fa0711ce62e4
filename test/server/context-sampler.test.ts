import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { type Context, emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import { ContextSampler } from "../../src/server/contexts/context-sampler.js";
import { Announcements } from "../../src/server/state/announcements.js";
import { Catalog } from "../../src/server/state/catalog.js";
import { environmentId } from "../../src/store/index.js";
import { flag } from "../engine/build.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

/** An environment that keeps contexts, as it is set at a revision. */
function recordsOf(revision: bigint, keepContexts = true): Map<string, Record> {
  const value = create(EnvironmentSchema, { name: "production", keepContexts, revision });
  return new Map([[environmentId(value.name), create(RecordSchema, { kind: { case: "environment", value } })]]);
}

/** A sampler on records that change without anybody being told, and what it has handed on. */
function openSampler() {
  const clock = new VirtualClock();
  const records = recordsOf(1n);
  const kept: Context[][] = [];
  const head = { catalog: Catalog.of(records), announcements: new Announcements() };
  const contexts = {
    keep: async (_environment: string, batch: readonly Context[]) => void kept.push([...batch]),
    list: async () => [],
    count: async () => 0,
  };
  const sampler = new ContextSampler({ head, contexts, clock, random: () => 0.5 });
  const snapshot: Snapshot = emptySnapshot("production").apply("full", [flag("a")], { ...emptySnapshot("").position });
  const answer = (context: Context) => {
    const outcome = snapshot.flag("a")?.select(context, 0);
    if (outcome !== undefined) sampler.answered(outcome, snapshot, context);
  };
  const set = (revision: bigint, keeps?: boolean) => {
    for (const [id, record] of recordsOf(revision, keeps)) records.set(id, record);
  };
  return { clock, kept, answer, set, announce: () => head.announcements.announce() };
}

it("samples are handed on every five seconds, where there are any", async () => {
  const { clock, kept, answer } = openSampler();
  answer({ a: 1 });
  answer({ a: 2 });
  await clock.advance(4_999);
  expect(kept).toEqual([]);
  await clock.advance(1);
  expect(kept).toEqual([[{ a: 1 }, { a: 2 }]]);
  expect(clock.pendingTimers).toBe(0);
  answer({ a: 3 });
  await clock.advance(5_000);
  expect(kept.slice(1)).toEqual([[{ a: 3 }]]);
});

it("samples are dropped where the environment has changed, even if the sampler has not been told yet", async () => {
  const { clock, kept, answer, set, announce } = openSampler();
  answer({ a: 1 });
  set(2n, true);
  await clock.advance(5_000);
  set(3n, false);
  answer({ a: 2 });
  await clock.advance(5_000);
  expect(kept).toEqual([]);
  announce();
  await settle();
  answer({ a: 3 });
  set(4n, true);
  announce();
  await settle();
  answer({ a: 4 });
  await clock.advance(5_000);
  expect(kept).toEqual([[{ a: 4 }]]);
});
