import { setImmediate as nextTurn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import {
  DeleteEnvironmentRequestSchema,
  DeleteFlagRequestSchema,
  ImportRequestSchema,
  ListEnvironmentsRequestSchema,
  UpdateFlagRequestSchema,
  UpdateSegmentRequestSchema,
  UpdateTargetingRequestSchema,
} from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { adminHandlers } from "../../src/server/admin/admin-handlers.js";
import { putEnvironment, putFlag, putSegment, putTargeting } from "../../src/server/admin/records.js";
import type { Turns } from "../../src/server/admin/steps.js";
import { Writer } from "../../src/server/admin/writer.js";
import { noContexts } from "../../src/server/contexts/kept-contexts.js";
import type { Call } from "../../src/server/handlers.js";
import { Head } from "../../src/server/state/head.js";
import { createMemoryUsageLedger } from "../../src/server/usage/memory-usage-ledger.js";
import { openMemoryStore, type RecordChange, type Store } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { booleanFlag, inSegment, rule } from "./admin-support.js";
import { anybody } from "./open-gate.js";

const heads: Head[] = [];
afterEach(async () => {
  for (const head of heads.splice(0)) {
    await head.close();
    await head.store.close();
  }
});

/** A store whose commits wait, once `hold` was called, until `release` names them by their place. */
class HeldCommits {
  readonly #held: (() => void)[] = [];
  #holding = false;

  hold(): void {
    this.#holding = true;
  }

  get count(): number {
    return this.#held.length;
  }

  release(index: number): void {
    this.#holding = false;
    this.#held[index]?.();
  }

  of(store: Store): Store {
    const commit: Store["commit"] = async (transaction) => {
      if (this.#holding) await new Promise<void>((resolve) => this.#held.push(resolve));
      return store.commit(transaction);
    };
    return new Proxy(store, {
      get(target, name) {
        if (name === "commit") return commit;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

/** The handlers of the service over a store in memory, in which each step of a large write is followed by `pause`. */
async function openAdmin(pause: () => Promise<unknown> = nextTurn, stepMs = 1) {
  const commits = new HeldCommits();
  const store = commits.of(await openMemoryStore());
  const changes = [putEnvironment(create(EnvironmentSchema, { name: "production" }))];
  await commitTo(store, changes);
  const head = await Head.open(store, createWatchHub({ clock: systemClock, random: systemRandom }));
  heads.push(head);
  let nowMs = 0;
  const turns: Turns = { clock: { monotonicMs: () => (nowMs += stepMs) }, turnMs: 1, next: () => pause() };
  const writer = new Writer(head, systemClock, turns);
  const handlers = adminHandlers({ head, writer, contexts: noContexts }, createMemoryUsageLedger(systemClock));
  const importFile = (file: MessageInitShape<typeof ImportRequestSchema>["file"], signal?: AbortSignal) =>
    handlers.import(
      (async function* () {
        yield create(ImportRequestSchema, file ? { file } : {});
      })(),
      callOf(signal),
    );
  return { commits, store, head, handlers, importFile };
}

async function commitTo(store: Store, changes: readonly RecordChange[]): Promise<void> {
  await store.commit({ timeMs: 1, author: "test", comment: "", changes, preconditions: [] });
}

const callOf = (signal = new AbortController().signal): Call => ({
  signal,
  header: () => undefined,
  peer: "test",
  identity: anybody,
});
const manyFlags = Array.from({ length: 100 }, (_, index) => booleanFlag(`flag-${index}`));

describe("a large write", () => {
  it("is done where promises of the runtime are of another realm, as in jest's sandbox", async () => {
    const admin = await openAdmin(() => runInNewContext("Promise.resolve()"));
    expect(await admin.importFile({ flags: manyFlags })).toMatchObject({ createdFlags: { length: 100 } });
  });

  it("lets other calls be answered between its steps", async () => {
    const answers: unknown[] = [];
    const admin = await openAdmin(async () => {
      answers.push(await admin.handlers.listEnvironments(create(ListEnvironmentsRequestSchema), callOf()));
      await nextTurn();
    });
    const answer = await admin.importFile({ flags: manyFlags });
    expect(answer).toMatchObject({ revision: 2n });
    // Each flag and each of its settings is drafted, compared and checked.
    expect(answers.length).toBeGreaterThan(3 * manyFlags.length);
    expect(answers).not.toContainEqual(expect.objectContaining({ revision: 2n }));
  });

  it("is given up, and changes nothing, when its caller has gone", async () => {
    const stop = new AbortController();
    let pauses = 0;
    const admin = await openAdmin(async () => {
      if (++pauses === 50) stop.abort();
    });
    const answer = await admin.importFile({ flags: manyFlags }, stop.signal);
    expect(answer).toMatchObject({ code: "CANCELLED" });
    expect(pauses).toBe(50);
    expect(admin.store.edges().newest).toBe(1n);
  });

  it("starts again where what it was checked against changes meanwhile, even at the last moment", async () => {
    const targetings = [{ flagKey: "flag-0", prerequisites: [{ flagKey: "needed", variants: ["on"] }] }];
    /** Deletes a flag that the file needs at one of the pauses, counted from 1. */
    const importWhileDeletingAt = async (pause: number) => {
      let pauses = 0;
      const admin = await openAdmin(async () => {
        const key = "needed";
        if (++pauses === pause) await admin.handlers.deleteFlag(create(DeleteFlagRequestSchema, { key }), callOf());
      });
      await commitTo(admin.store, [putFlag(create(FlagSchema, booleanFlag("needed")))]);
      await admin.head.reached(2n);
      const answer = await admin.importFile({ flags: manyFlags, targetings });
      return { answer, pauses, flagKeys: admin.head.catalog.flagKeys() };
    };
    const undisturbed = await importWhileDeletingAt(0);
    expect(undisturbed).toMatchObject({ answer: { revision: 3n }, flagKeys: { length: 101 } });
    for (const pause of [1, 350, undisturbed.pauses]) {
      const disturbed = await importWhileDeletingAt(pause);
      expect(disturbed).toMatchObject({ answer: { code: "INVALID_ARGUMENT" }, flagKeys: [] });
    }
  });

  it("comes to an end although others never stop writing", async () => {
    let writes = 0;
    const admin = await openAdmin(async () => {
      const environment = { name: "production", description: String(++writes) };
      await commitTo(admin.store, [putEnvironment(create(EnvironmentSchema, environment))]);
      await admin.head.reached(admin.store.edges().newest);
    });
    expect(await admin.importFile({ flags: manyFlags })).toMatchObject({ createdFlags: { length: 100 } });
    expect(writes).toBeGreaterThan(1);
  });

  it("does not pause where it takes less than a turn", async () => {
    let pauses = 0;
    const admin = await openAdmin(async () => {
      pauses++;
    }, 0);
    await admin.importFile({ flags: manyFlags });
    expect(pauses).toBe(0);
  });
});

describe("a write of settings that was decided on a state that is gone", () => {
  const updateTargeting = ({ handlers }: Awaited<ReturnType<typeof openAdmin>>, environment: string) => {
    const targeting = { flagKey: "a", enabled: true };
    return handlers.updateTargeting(create(UpdateTargetingRequestSchema, { environment, targeting }), callOf());
  };

  it.each([
    ["flag", "production", "FLAG_NOT_FOUND"],
    ["environment", "qa", "ENVIRONMENT_NOT_FOUND"],
  ])("does not bring settings back whose %s was deleted meanwhile", async (what, environment, reason) => {
    const admin = await openAdmin(nextTurn, 0);
    // A flag without settings: what is deleted with it is then not the record that is written.
    await commitTo(admin.store, [
      putFlag(create(FlagSchema, booleanFlag("a"))),
      putEnvironment(create(EnvironmentSchema, { name: "qa" })),
    ]);
    await admin.head.reached(2n);
    admin.commits.hold();
    const updated = updateTargeting(admin, environment);
    const deleted =
      what === "flag"
        ? admin.handlers.deleteFlag(create(DeleteFlagRequestSchema, { key: "a" }), callOf())
        : admin.handlers.deleteEnvironment(create(DeleteEnvironmentRequestSchema, { name: "qa" }), callOf());
    await expect.poll(() => admin.commits.count).toBe(2);
    admin.commits.release(1);
    expect(await deleted).toMatchObject({ revision: 3n });
    admin.commits.release(0);
    expect(await updated).toMatchObject({ reason });
    expect(admin.head.catalog.targeting(environment, "a")).toBeUndefined();
  });
});

describe("what was malformed all along", () => {
  it("does not stand in the way of edits of what it depends on, or of anything else", async () => {
    const admin = await openAdmin();
    const flags = [booleanFlag("a"), booleanFlag("broken")].map((flag) => putFlag(create(FlagSchema, flag)));
    const targeting = create(TargetingSchema, {
      environment: "production",
      flagKey: "broken",
      prerequisites: [{ flagKey: "a", variants: ["on"] }],
      rules: [rule(inSegment("s"), "none"), rule(inSegment("loop"), "on")],
    });
    const segments = [{ key: "s" }, { key: "loop", condition: inSegment("loop") }].map((segment) =>
      putSegment(create(SegmentSchema, { environment: "production", ...segment })),
    );
    await commitTo(admin.store, [...flags, putTargeting(targeting), ...segments]);
    await admin.head.reached(2n);
    expect(admin.head.snapshot("production")?.flag("broken")?.problems).not.toEqual([]);
    expect(admin.head.snapshot("production")?.segmentProblems("loop")).not.toEqual([]);
    const flag = booleanFlag("a", { description: "new" });
    expect(await admin.handlers.updateFlag(create(UpdateFlagRequestSchema, { flag }), callOf())).toMatchObject({
      revision: 3n,
    });
    const segment = { key: "s", included: ["u"] };
    expect(await admin.handlers.updateSegment(create(UpdateSegmentRequestSchema, { segment }), callOf())).toMatchObject(
      {
        revision: 4n,
      },
    );
    // What is touched must be put in order.
    const touched = { key: "loop", included: ["u"], condition: inSegment("loop") };
    const again = create(UpdateSegmentRequestSchema, { segment: touched });
    expect(await admin.handlers.updateSegment(again, callOf())).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
