import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { type HourlyQuery, openUsageLedger, type UsageLedgerLimits, type UsageReport } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";
import { runFlagwire } from "../cli/run-flagwire.js";
import { openTestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { booleanFlag, serve } from "./admin-support.js";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 10, 12, 30);
const HOUR = Date.UTC(2026, 0, 10, 12);
const ofA: HourlyQuery = { environment: "production", flagKey: "a", after: undefined, limit: 1_000 };

interface Told {
  readonly variant?: string;
  readonly count?: number;
  /** That the report names. */
  readonly revision?: bigint;
  readonly settingsRevision?: bigint;
  readonly endMs?: number;
  readonly flagKey?: string;
}

/** One that is set ahead, and back. */
class SetClock extends VirtualClock {
  aheadMs = 0;

  override now(): number {
    return super.now() + this.aheadMs;
  }
}

/** Ledgers one after the other on the same side table, as processes would open them. */
async function openSide() {
  const clock = new SetClock(START_MS);
  const { side } = await openMemoryStore();
  if (side === undefined) throw new Error("the store owns its data");
  const open = (limits: Partial<UsageLedgerLimits> = {}) => openUsageLedger({ side, clock, limits });
  return { clock, open };
}

function told({ variant = "on", count = 1, revision = 9n, settingsRevision = 5n, endMs, flagKey = "a" }: Told) {
  const counts = [{ flagKey, variant, count, revision, settingsRevision }];
  return { environment: "production", reporter: undefined, endMs: endMs ?? START_MS, counts } satisfies UsageReport;
}

type Ledger = ReturnType<typeof openUsageLedger>;

/** Such as `12:00 on @ 5: 3`, in the order of the list. */
async function hours(ledger: Ledger, query: Partial<HourlyQuery> = {}): Promise<string[]> {
  const { usages } = await ledger.listHours({ ...ofA, ...query });
  return usages.map(({ hourMs, variant, revision, count }) => {
    const hour = new Date(hourMs).toISOString().slice(11, 16);
    return `${hour} ${variant || "-"} @ ${revision}: ${count}`;
  });
}

describe("usage by the hour", () => {
  it("is added up for each hour, variant and revision of the settings, the newest first", async () => {
    const { clock, open } = await openSide();
    const ledger = open();
    await ledger.record(told({ count: 2 }));
    await ledger.record(told({ count: 3, revision: 11n }));
    await ledger.record(told({ variant: "off" }));
    await ledger.record(told({ revision: 20n, settingsRevision: 20n }));
    await clock.advance(HOUR_MS);
    await ledger.record(told({ revision: 21n, settingsRevision: 20n, endMs: clock.now() }));
    await ledger.record(told({ flagKey: "b" }));
    expect(await hours(ledger)).toEqual([
      "13:00 on @ 20: 1",
      "12:00 off @ 5: 1",
      "12:00 on @ 20: 1",
      "12:00 on @ 5: 5",
    ]);
    expect(await hours(ledger, { environment: "staging" })).toEqual([]);
    const [, second] = (await ledger.listHours(ofA)).usages;
    expect(await hours(ledger, { after: second, limit: 1 })).toEqual(["12:00 on @ 20: 1"]);
  });

  it("takes a late report for the settings that it can be of, and makes no rows of invented revisions", async () => {
    const { open } = await openSide();
    const ledger = open();
    await ledger.record(told({ revision: 7n, settingsRevision: 5n }));
    await ledger.record(told({ revision: 8n, settingsRevision: 30n }));
    await ledger.record(told({ revision: 4n, settingsRevision: 30n }));
    await ledger.record(told({ revision: 3n, settingsRevision: 30n }));
    await ledger.record(told({ revision: 2n ** 64n - 1n, settingsRevision: 30n }));
    expect(await hours(ledger)).toEqual(["12:00 on @ 30: 1", "12:00 on @ 5: 2", "12:00 on @ 0: 2"]);
  });

  it("is kept for seven days, and said to be complete since then", async () => {
    const { clock, open } = await openSide();
    const ledger = open();
    await ledger.record(told({}));
    await clock.advance(7 * 24 * HOUR_MS - HOUR_MS / 2);
    expect(await hours(ledger)).toEqual(["12:00 on @ 5: 1"]);
    expect((await ledger.listHours(ofA)).completeSinceMs).toBe(HOUR);
    await clock.advance(HOUR_MS);
    expect(await hours(ledger)).toEqual([]);
    expect((await ledger.listHours(ofA)).completeSinceMs).toBe(HOUR + HOUR_MS);
    // What is older than that when it comes is not taken up.
    await ledger.record(told({ endMs: START_MS }));
    expect(await hours(ledger)).toEqual([]);
  });

  it("says that hours are missing which a clock that was ahead has dropped", async () => {
    const { clock, open } = await openSide();
    const ledger = open();
    await ledger.record(told({}));
    clock.aheadMs = 30 * 24 * HOUR_MS;
    await ledger.record(told({ variant: "off", endMs: START_MS + HOUR_MS }));
    clock.aheadMs = 0;
    expect(await hours(ledger)).toEqual([]);
    expect((await ledger.listHours(ofA)).completeSinceMs).toBe(HOUR + 2 * HOUR_MS);
  });

  it("is dropped after its time, and complete since no later than now, also after a clock was ahead", async () => {
    const { clock, open } = await openSide();
    const ledger = open({ hours: 2 });
    clock.aheadMs = 30 * 24 * HOUR_MS;
    await ledger.record(told({ endMs: clock.now() }));
    clock.aheadMs = 0;
    await ledger.record(told({}));
    await clock.advance(8 * 24 * HOUR_MS);
    // With the hour of the time ahead still there, there is room for this one only if the first was dropped.
    await ledger.record(told({ endMs: clock.now() }));
    expect(await hours(ledger)).toHaveLength(2);
    await ledger.record(told({ variant: "off", endMs: clock.now() }));
    expect(await hours(ledger)).toEqual(["12:00 off @ 5: 1", "12:00 on @ 5: 1"]);
    expect((await ledger.listHours(ofA)).completeSinceMs).toBe(HOUR + 8 * 24 * HOUR_MS + HOUR_MS);
  });

  it("outlasts a restart, with what is known of revisions", async () => {
    const { clock, open } = await openSide();
    const first = open();
    await first.record(told({ count: 4 }));
    await first.close();
    await clock.advance(HOUR_MS);
    const second = open();
    await second.record(told({ revision: 6n, settingsRevision: 8n, endMs: clock.now() }));
    expect(await hours(second)).toEqual(["13:00 on @ 5: 1", "12:00 on @ 5: 4"]);
    expect((await second.listHours(ofA)).completeSinceMs).toBe(HOUR);
  });

  it("drops the oldest hours where there are too many, and says from when on none is missing, also after a restart", async () => {
    const { clock, open } = await openSide();
    const first = open({ hours: 2 });
    for (let hour = 0; hour < 4; hour++) {
      await first.record(told({ endMs: clock.now() }));
      await clock.advance(HOUR_MS);
    }
    const kept = ["15:00 on @ 5: 1", "14:00 on @ 5: 1"];
    expect(await hours(first)).toEqual(kept);
    await first.close();
    const second = open({ hours: 2 });
    expect(await hours(second)).toEqual(kept);
    expect((await second.listHours(ofA)).completeSinceMs).toBe(HOUR + 2 * HOUR_MS);
  });
});

describe("ListHourlyUsage", () => {
  async function openUsed() {
    const server = await openTestServer();
    onTestFinished(() => server[Symbol.asyncDispose]());
    const created = await server.admin.createFlag({
      flag: booleanFlag("a"),
      targeting: { enabled: true, default: serve("on") },
    });
    const counts = [
      { flagKey: "a", variant: "on", revision: 99n, count: 3n },
      { flagKey: "a", variant: "", revision: 99n, count: 2n },
    ];
    await server.evaluation.reportUsage({ clientName: "web", reportId: "1", counts });
    return { server, revision: created.revision };
  }

  it("tells hours by pages, with the revision of the flag's settings", async () => {
    const { server, revision } = await openUsed();
    const first = await server.admin.listHourlyUsage({ flagKey: "a", pageSize: 1 });
    expect(first.usages).toMatchObject([{ variant: "", revision, count: 2n }]);
    expect(timestampMs(first.usages[0]?.hour ?? timestampFromMs(1)) % HOUR_MS).toBe(0);
    const second = await server.admin.listHourlyUsage({ flagKey: "a", pageSize: 1, pageToken: first.nextPageToken });
    expect(second.usages).toMatchObject([{ variant: "on", revision, count: 3n }]);
    expect(second.nextPageToken).toBe("");
  });

  it("counts what is told late for the settings that answered, although nothing else was told of them", async () => {
    const { server, revision: first } = await openUsed();
    const { revision: killed } = await server.admin.killFlags({ flagKeys: ["a"], reason: "it fails" });
    const { revision: revived } = await server.admin.reviveFlags({ flagKeys: ["a"] });
    const answered = [first - 1n, first, killed, revived].map((revision) => ({
      flagKey: "a",
      variant: "off",
      revision,
      count: revision,
    }));
    for (const [index, one] of answered.entries())
      await server.evaluation.reportUsage({ clientName: "web", reportId: `late ${index}`, counts: [one] });
    const { usages } = await server.admin.listHourlyUsage({ flagKey: "a" });
    const off = usages.filter(({ variant }) => variant === "off").map(({ revision, count }) => [revision, count]);
    expect(off).toEqual([revived, killed, first].map((one) => [one, one]).concat([[0n, first - 1n]]));
  });

  it.each([
    [{}, "flag_key: is required"],
    [{ flagKey: "nope" }, 'there is no flag "nope"'],
    [{ flagKey: "a", environment: "nope" }, 'there is no environment "nope"'],
    [{ flagKey: "a", pageToken: "[1]" }, "page_token: is not a token that this server gave"],
    [{ flagKey: "a", pageToken: '[1,"on","-1"]' }, "page_token: is not a token that this server gave"],
  ])("refuses %j", async (request, message) => {
    const { server } = await openUsed();
    await expect(server.admin.listHourlyUsage(request)).rejects.toThrow(message);
  });

  it("is shown by `usage KEY --hours`", async () => {
    const { server, revision } = await openUsed();
    const run = (...argv: string[]) => runFlagwire(["usage", ...argv, "--hours", "--address", server.address]);
    const { stdout } = await run("a");
    expect(stdout).toMatch(
      new RegExp(
        `^HOUR +VARIANT +REVISION +COUNT\n[-0-9T:.]+Z +\\(none\\) +${revision} +2\n[-0-9T:.]+Z +on +${revision} +3\n`,
      ),
    );
    expect(JSON.parse((await run("a", "--json")).stdout).usages).toMatchObject([
      { count: "2" },
      { variant: "on", count: "3" },
    ]);
    expect(await run()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("flagwire usage KEY --hours") });
    expect(await run("b")).toMatchObject({ exitCode: 3 });
  });
});
