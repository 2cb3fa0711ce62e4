import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Service as FlagdService } from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import { openUsageLedger, type UsageLedgerLimits, type UsageQuery } from "../../src/server/index.js";
import { openMemoryStore, type SideTable } from "../../src/store/index.js";
import type { TestServerOptions } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { booleanFlag, openServer, type RestartableServer, serve } from "./admin-support.js";

const START_MS = Date.UTC(2026, 0, 1);
const all: UsageQuery = { environment: "production", flagKey: undefined, after: undefined, limit: 1_000 };

/** A side table to open ledgers on, one after the other, as processes would. */
async function openSide() {
  const clock = new VirtualClock(START_MS);
  const { side } = await openMemoryStore();
  if (side === undefined) throw new Error("the store owns its data");
  return { clock, side, open: (limits: Partial<UsageLedgerLimits> = {}) => openUsageLedger({ side, clock, limits }) };
}

type Ledger = ReturnType<typeof openUsageLedger>;

function record(ledger: Ledger, reportId: string, flagKey = "a", count = 1, endMs = START_MS) {
  return ledger.record({
    environment: "production",
    reporter: { clientName: `client of ${reportId}`, reportId },
    endMs,
    counts: [{ flagKey, variant: "on", revision: 7n, settingsRevision: 7n, count }],
  });
}

async function counts(ledger: Ledger): Promise<string[]> {
  return (await ledger.list(all)).usages.map(({ flagKey, variant, count }) => `${flagKey} ${variant} ${count}`);
}

describe("a ledger that is kept", () => {
  it("goes on where the one before was closed", async () => {
    const { clock, open } = await openSide();
    const first = open();
    await record(first, "1", "a", 3, START_MS + 5);
    await clock.advance(1_000);
    await record(first, "2", "b");
    await first.close();
    await clock.advance(60_000);
    const second = open();
    expect(await second.list(all)).toEqual({
      sinceMs: START_MS,
      usages: [
        { environment: "production", flagKey: "a", variant: "on", count: 3, revision: 7n, lastUsedMs: START_MS + 5 },
        { environment: "production", flagKey: "b", variant: "on", count: 1, revision: 7n, lastUsedMs: START_MS },
      ],
      reporters: [
        { clientName: "client of 2", lastReportMs: START_MS + 1_000, reportCount: 1 },
        { clientName: "client of 1", lastReportMs: START_MS, reportCount: 1 },
      ],
    });
    expect(await record(second, "1", "a", 3)).toEqual({ alreadyCounted: true });
    expect(await record(second, "3", "a", 2)).toEqual({ alreadyCounted: false });
    expect(await counts(second)).toEqual(["a on 5", "b on 1"]);
  });

  it("loses the last seconds where it was not closed, and nothing before", async () => {
    const { clock, open } = await openSide();
    const killed = open();
    await record(killed, "1", "a", 3);
    await clock.advance(5_000);
    await record(killed, "2", "a", 4);
    const next = open();
    expect(await counts(next)).toEqual(["a on 3"]);
    expect(await record(next, "1", "a", 3)).toEqual({ alreadyCounted: true });
    // Its client was not answered, so it comes again.
    expect(await record(next, "2", "a", 4)).toEqual({ alreadyCounted: false });
    expect(await counts(next)).toEqual(["a on 7"]);
  });

  it("writes nothing while nothing is counted", async () => {
    const { clock, open } = await openSide();
    const ledger = open();
    await record(ledger, "1");
    await clock.advance(10_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it("keeps no more rows than its limits say, however long it runs and over restarts", async () => {
    const { side, open } = await openSide();
    const limits = { usages: 3, reportIds: 4, reporters: 2, hours: 5, environments: 1 };
    for (let start = 0; start < 3; start++) {
      const ledger = open(limits);
      for (let n = 0; n < 20; n++) await record(ledger, `${start}-${n}`, `flag-${start}-${n}`, 1, START_MS + n);
      await ledger.close();
      expect(side.entries()).toHaveLength(2 + 3 + 4 + 2 + 5);
    }
    const smaller = open({ usages: 1, reportIds: 1, reporters: 1, hours: 1, environments: 1 });
    expect(await counts(smaller)).toEqual(["flag-2-19 on 1"]);
    await smaller.close();
    expect(side.entries()).toHaveLength(6);
  });

  it("drops rows that it cannot read, and leaves alone what is not its own", async () => {
    const { side, open } = await openSide();
    const usage = ["usage", "production", "a", "on"];
    const rows = [
      "x",
      "[]",
      '["usage"]',
      JSON.stringify([...usage, -1, "7", 0]),
      JSON.stringify([...usage, 1, "x", 0]),
    ];
    await side.write(rows.map((text, index) => [`usage/count/${index}`, text]));
    await side.write([["of somebody else", "x"]]);
    const ledger = open();
    expect(await counts(ledger)).toEqual([]);
    await ledger.close();
    expect(side.entries().map(([key]) => key)).toEqual([
      "of somebody else",
      "usage/hours-complete-since",
      "usage/since",
    ]);
  });

  it("writes later what a full disk refused, in its newest state", async () => {
    const { clock, side, open } = await openSide();
    let refusals = 0;
    const full: SideTable = {
      entries: (prefix) => side.entries(prefix),
      async write(rows) {
        if (refusals > 0) return side.write(rows);
        refusals++;
        await record(ledger, "2", "a", 4);
        return false;
      },
    };
    const ledger = openUsageLedger({ side: full, clock });
    await record(ledger, "1", "a", 3);
    await record(ledger, "3", "b", 1);
    await clock.advance(4_500);
    expect(side.entries()).toEqual([]);
    await clock.advance(4_500);
    const next = open();
    expect(await counts(next)).toEqual(["a on 7", "b on 1"]);
    for (const id of ["1", "2", "3"]) expect(await record(next, id)).toEqual({ alreadyCounted: true });
  });
});

describe("what a server answers itself", () => {
  async function started(options: TestServerOptions = {}): Promise<RestartableServer> {
    const server = await openServer(options);
    const targeting = { enabled: true, default: serve("on") };
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting });
    await server.admin.createFlag({ flag: booleanFlag("b"), targeting });
    return server;
  }

  /** As listed once the server has been stopped and started again. */
  async function countsAfterRestart(server: RestartableServer, request: object = {}): Promise<string[]> {
    await server.restart();
    const { usages } = await server.admin.listUsage(request);
    return usages.map(({ flagKey, variant, count }) => `${flagKey} ${variant || "-"} ${count}`);
  }

  it("is counted in every protocol, and outlasts a restart", async () => {
    const server = await started();
    const { countedSince } = await server.admin.listUsage({});
    await server.evaluation.evaluate({ flagKey: "a" });
    await server.evaluation.evaluate({ flagKey: "a", explain: true });
    await server.evaluation.bulkEvaluate({});
    await server.evaluation.bulkEvaluate({ flagKeys: ["b", "nope"] });
    expect(await countsAfterRestart(server)).toEqual(["a on 3", "b on 2"]);
    await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a" });
    for (const path of ["ofrep/v1/evaluate/flags/a", "ofrep/v1/evaluate/flags"]) await server.json(path, {});
    expect(await countsAfterRestart(server)).toEqual(["a on 6", "b on 3"]);
    const flagd = createClient(FlagdService, createGrpcTransport({ baseUrl: `http://${server.address}` }));
    await flagd.resolveBoolean({ flagKey: "a" });
    await flagd.resolveAll({});
    for await (const { kind } of server.evaluation.watchEvaluations({ flagKeys: ["b"] })) {
      expect(kind.case).toBe("update");
      break;
    }
    expect(await countsAfterRestart(server)).toEqual(["a on 8", "b on 5"]);
    expect((await server.admin.listUsage({})).countedSince).toEqual(countedSince);
    // It is no client that reports.
    expect((await server.admin.listUsage({})).reporters).toEqual([]);
  });

  it("is apart by environment", async () => {
    const server = await started();
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.evaluation.evaluate({ flagKey: "a" });
    await server.evaluation.evaluate({ flagKey: "a", environment: "staging" });
    await server.evaluation.evaluate({ flagKey: "a", environment: "staging" });
    expect(await countsAfterRestart(server)).toEqual(["a on 1"]);
    const { usages } = await server.admin.listUsage({ environment: "staging" });
    expect(usages).toMatchObject([{ flagKey: "a", variant: "off", count: 2n }]);
  });

  it("is counted also of a flag that was replaced meanwhile, at the newest revision that answered", async () => {
    const server = await started();
    await server.evaluation.evaluate({ flagKey: "a" });
    const { revision } = await server.admin.updateFlag({
      flag: { ...booleanFlag("a"), description: "another" },
      updateMask: { paths: ["description"] },
    });
    await server.evaluation.evaluate({ flagKey: "a" });
    await server.restart();
    expect((await server.admin.listUsage({})).usages).toMatchObject([{ flagKey: "a", count: 2n, revision }]);
  });

  it("is listed without waiting for a restart, and not of a flag that was deleted", async () => {
    const clock = new VirtualClock(Date.now());
    const server = await started({ clock });
    await server.evaluation.bulkEvaluate({});
    await clock.advance(5_000);
    const keys = async () => (await server.admin.listUsage({})).usages.map(({ flagKey }) => flagKey);
    expect(await keys()).toEqual(["a", "b"]);
    await server.evaluation.evaluate({ flagKey: "a" });
    const { revision } = await server.admin.createFlag({ flag: booleanFlag("c") });
    await server.evaluation.evaluate({ flagKey: "a" });
    await clock.advance(5_000);
    const { usages } = await server.admin.listUsage({ flagKey: "a" });
    expect(usages).toMatchObject([{ variant: "on", count: 3n, revision }]);
    await server.admin.deleteFlag({ key: "a" });
    expect(await keys()).toEqual(["b"]);
  });
});
