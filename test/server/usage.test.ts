import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { createMemoryUsageLedger, type UsageQuery, type UsageReport } from "../../src/server/index.js";
import { runFlagwire } from "../cli/run-flagwire.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";

const START_MS = Date.UTC(2026, 0, 1);
let server: TestServer;
let nextId = 0;

beforeEach(async () => {
  server = await openTestServer();
  for (const key of ["a", "b"]) {
    const flag = {
      key,
      type: FlagType.BOOLEAN,
      kind: FlagKind.OPERATIONAL,
      variants: { on: bool(true), off: bool(false) },
    };
    await server.admin.createFlag({ flag });
  }
});

afterEach(() => server[Symbol.asyncDispose]());

function bool(value: boolean) {
  return { kind: { case: "boolValue" as const, value } };
}

function report(
  counts: readonly [flagKey: string, variant: string, count: number, revision?: number][],
  more: object = {},
) {
  return server.evaluation.reportUsage({
    clientName: "web",
    reportId: `report-${nextId++}`,
    counts: counts.map(([flagKey, variant, count, revision = 1]) => ({
      flagKey,
      variant,
      count: BigInt(count),
      revision: BigInt(revision),
    })),
    ...more,
  });
}

/** What is listed, as `flag variant count @ revision`. */
async function listed(request: object = {}): Promise<string[]> {
  const { usages } = await server.admin.listUsage(request);
  return usages.map(({ flagKey, variant, count, revision }) => `${flagKey} ${variant || "-"} ${count} @ ${revision}`);
}

async function refusal(promise: Promise<unknown>) {
  const error = ConnectError.from(
    await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: Code[error.code],
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
    fields: violations.map(({ field, description }) => `${field} ${description}`),
  };
}

describe("reports of usage", () => {
  it("are added up by flag and variant, at the newest revision", async () => {
    await report([["a", "on", 3, 4]]);
    await report([
      ["a", "on", 2, 2],
      ["a", "", 1],
      ["b", "off", 7],
    ]);
    expect(await listed()).toEqual(["a - 1 @ 1", "a on 5 @ 4", "b off 7 @ 1"]);
    expect(await listed({ flagKey: "b" })).toEqual(["b off 7 @ 1"]);
  });

  it("are counted once, however often they come", async () => {
    const same = { reportId: "the same" };
    expect(await report([["a", "on", 3]], same)).toMatchObject({ alreadyCounted: false });
    expect(await report([["a", "on", 3]], same)).toMatchObject({ alreadyCounted: true });
    expect(await listed()).toEqual(["a on 3 @ 1"]);
    const { reporters } = await server.admin.listUsage({});
    expect(reporters).toMatchObject([{ clientName: "web", reportCount: 1n }]);
  });

  it("are apart by environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await report([["a", "on", 3]], { environment: "staging", reportId: "the same" });
    expect(await report([["a", "on", 1]], { reportId: "the same" })).toMatchObject({ alreadyCounted: false });
    expect(await listed({ environment: "staging" })).toEqual(["a on 3 @ 1"]);
    expect(await listed()).toEqual(["a on 1 @ 1"]);
  });

  it("leave out what does not exist, and say how much", async () => {
    const answer = await report([
      ["nope", "on", 3],
      ["a", "nope", 3],
      ["a", "__proto__", 3],
      ["a", "on", 1],
    ]);
    expect(answer.unknownCount).toBe(3);
    expect(await listed()).toEqual(["a on 1 @ 1"]);
    await server.admin.deleteFlag({ key: "a" });
    expect(await listed()).toEqual([]);
  });

  it("tell when flags were used, not when that was reported; never in the future", async () => {
    const endMs = START_MS + 5_000;
    const times = { startTime: timestampFromMs(START_MS), endTime: timestampFromMs(endMs) };
    await report([["a", "on", 1]], times);
    const future = Date.now() + 86_400_000;
    await report([["b", "on", 1]], { endTime: timestampFromMs(future) });
    const { usages, countedSince } = await server.admin.listUsage({});
    const [a = 0, b = 0] = usages.map(({ lastUsedTime }) =>
      lastUsedTime === undefined ? 0 : timestampMs(lastUsedTime),
    );
    expect(a).toBe(endMs);
    expect(b).toBeLessThan(future);
    expect(countedSince).toBeDefined();
  });

  it("come by JSON over HTTP/1.1 too", async () => {
    const body = { reportId: "j", counts: [{ flagKey: "a", variant: "on", count: "2" }] };
    expect(await server.json("flagwire.v1.EvaluationService/ReportUsage", body)).toMatchObject({ status: 200 });
    expect(await listed()).toEqual(["a on 2 @ 0"]);
  });

  it.each<[string, object, string[]]>([
    ["no id", { reportId: "" }, ["report_id is required"]],
    ["a long id", { reportId: "x".repeat(129) }, ["report_id is longer than 128 characters"]],
    ["a long name", { clientName: "x".repeat(257) }, ["client_name is longer than 256 characters"]],
    [
      "an end before its start",
      { startTime: timestampFromMs(2), endTime: timestampFromMs(1) },
      ["start_time is after end_time"],
    ],
    [
      "too many counts",
      { counts: Array.from({ length: 5_001 }, () => ({})) },
      ["counts has 5001 entries; 5000 is the limit"],
    ],
    [
      "wrong counts",
      {
        counts: [
          { flagKey: "", count: 1n },
          { flagKey: "a/b", count: 0n },
          { flagKey: "a", count: 1_000_000_000_001n },
        ],
      },
      [
        "counts[0].flag_key is required",
        "counts[1].flag_key must be 1 to 128 characters of A-Z a-z 0-9 . _ -",
        "counts[1].count is required",
        "counts[2].count is 1000000000001; 1000000000000 is the limit",
      ],
    ],
  ])("with %s are refused by field", async (_what, fields, expected) => {
    expect(await refusal(report([], fields))).toMatchObject({ code: "InvalidArgument", fields: expected });
  });

  it("of an unknown environment are refused, and so is listing it or an unknown flag", async () => {
    const unknown = { code: "NotFound", reason: "ENVIRONMENT_NOT_FOUND" };
    expect(await refusal(report([], { environment: "nope" }))).toMatchObject(unknown);
    expect(await refusal(server.admin.listUsage({ environment: "nope" }))).toMatchObject(unknown);
    expect(await refusal(server.admin.listUsage({ flagKey: "nope" }))).toMatchObject({ reason: "FLAG_NOT_FOUND" });
  });
});

describe("listing usage", () => {
  it("goes by pages", async () => {
    await report([
      ["a", "on", 1],
      ["a", "off", 1],
      ["b", "on", 1],
    ]);
    const first = await server.admin.listUsage({ pageSize: 2 });
    expect(first.usages.map(({ variant }) => variant)).toEqual(["off", "on"]);
    const second = await server.admin.listUsage({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.usages.map(({ flagKey }) => flagKey)).toEqual(["b"]);
    expect(second.nextPageToken).toBe("");
    for (const pageToken of ["x", "[1,2]", '["a"]']) {
      expect(await refusal(server.admin.listUsage({ pageToken }))).toMatchObject({ code: "InvalidArgument" });
    }
  });

  it("is what `flagwire usage` shows", async () => {
    const run = (...args: string[]) => runFlagwire(["usage", ...args, "--address", server.address]);
    expect((await run()).stderr).toMatch(
      /nothing of production was evaluated since .*T.*Z; no mirror of production has reported anything/,
    );
    await report([
      ["a", "on", 1234],
      ["a", "", 2],
    ]);
    const table = await run();
    expect(table.stdout).toMatch(/^KEY +VARIANT +COUNT +REVISION +LAST USED\na +\(none\) +2 +1 .*\na +on +1234 +1 /);
    expect(table.stderr).toMatch(/counted since .*; the last reports: web at /);
    const document = JSON.parse((await run("a", "--json")).stdout);
    expect(document).toMatchObject({
      usages: [
        { variant: "", count: "2" },
        { flagKey: "a", variant: "on", count: "1234" },
      ],
      reporters: [{ clientName: "web", reportCount: "1" }],
    });
    expect(await run("aa")).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("there is no flag") });
  });
});

describe("a ledger in memory", () => {
  const clock = new VirtualClock(START_MS);
  const all: UsageQuery = { environment: "production", flagKey: undefined, after: undefined, limit: 1_000 };
  const from = (
    reportId: string,
    { clientName = "web", ...more }: Partial<UsageReport> & { clientName?: string } = {},
  ) => ({
    environment: "production",
    reporter: { clientName, reportId },
    endMs: START_MS,
    counts: [{ flagKey: "a", variant: "on", revision: 1n, settingsRevision: 1n, count: 1 }],
    ...more,
  });

  it("lists a page of an environment, in order, whatever came and went since the page before", async () => {
    const ledger = createMemoryUsageLedger(clock, { usages: 5 });
    const count = (flagKey: string, variant = "on") => ({
      flagKey,
      variant,
      revision: 1n,
      settingsRevision: 1n,
      count: 1,
    });
    const page = async (query: Partial<UsageQuery>) =>
      (await ledger.list({ ...all, ...query })).usages.map(({ flagKey, variant }) => `${flagKey} ${variant || "-"}`);
    await ledger.record(from("1", { counts: [count("c"), count("b"), count("a"), count("a", "")] }));
    expect(await page({ limit: 2 })).toEqual(["a -", "a on"]);
    expect(await page({ limit: 2, after: { flagKey: "a", variant: "on" } })).toEqual(["b on", "c on"]);
    expect(await page({ flagKey: "a" })).toEqual(["a -", "a on"]);
    expect(await page({ flagKey: "a", after: { flagKey: "a", variant: "" } })).toEqual(["a on"]);
    expect(await page({ flagKey: "bb" })).toEqual([]);
    await ledger.record(from("2", { environment: "staging", counts: [count("z")] }));
    // One too much: `c`, which came first, goes.
    await ledger.record(from("3", { counts: [count("aa")] }));
    expect(await page({ after: { flagKey: "a", variant: "on" } })).toEqual(["aa on", "b on"]);
    expect(await page({ environment: "staging" })).toEqual(["z on"]);
    await ledger.record(from("4", { environment: "staging", counts: [count("y")] }));
    expect(await page({})).toEqual(["a -", "a on", "aa on"]);
    expect(await page({ environment: "staging" })).toEqual(["y on", "z on"]);
  });

  it("forgets the oldest of what is too much", async () => {
    const ledger = createMemoryUsageLedger(clock, { usages: 2, reportIds: 2, reporters: 2 });
    for (const name of ["a", "b", "c"]) {
      await ledger.record(
        from(name, {
          clientName: name,
          counts: [{ flagKey: name, variant: "on", revision: 1n, settingsRevision: 1n, count: 1 }],
        }),
      );
    }
    const { usages, reporters } = await ledger.list(all);
    expect(usages.map(({ flagKey }) => flagKey)).toEqual(["b", "c"]);
    expect(reporters.map(({ clientName }) => clientName)).toEqual(["c", "b"]);
    expect((await ledger.record(from("c"))).alreadyCounted).toBe(true);
    expect((await ledger.record(from("a"))).alreadyCounted).toBe(false);
  });

  it("never counts beyond what it can tell exactly", async () => {
    const ledger = createMemoryUsageLedger(clock);
    const counts = [
      { flagKey: "a", variant: "on", revision: 1n, settingsRevision: 1n, count: Number.MAX_SAFE_INTEGER - 1 },
    ];
    await ledger.record(from("1", { counts }));
    await ledger.record(from("2", { counts }));
    const { usages } = await ledger.list({ ...all, flagKey: "a" });
    expect(usages.map(({ count }) => count)).toEqual([Number.MAX_SAFE_INTEGER]);
  });
});
