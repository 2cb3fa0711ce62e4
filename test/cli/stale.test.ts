import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
let nowMs = START_MS;
let server: TestServer;
let code = "";

const flagwire = (...args: readonly string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });

beforeAll(async () => {
  server = await openTestServer({ clock: { ...systemClock, now: () => nowMs } });
  const temporary = ["--owner", "web", "--ticket", "WEB-1", "--type", "boolean"];
  const create = (key: string, ...more: readonly string[]) => flagwire("flags", "create", key, ...temporary, ...more);
  await create("done", "--kind", "release", "--expires-at", "2999-01-01T00:00:00Z", "--on");
  await create("gone", "--kind", "release", "--expires-at", "2026-01-20T00:00:00Z");
  await create("fresh", "--kind", "release", "--expires-at", "2999-01-01T00:00:00Z");
  await create("permanent", "--kind", "permission", "--on");
  nowMs = START_MS + 40 * DAY_MS;
  code = await mkdtemp(join(tmpdir(), "flagwire-stale-"));
  await writeFile(join(code, "a.go"), 'on("fresh") // and `done`');
  await writeFile(join(code, "b.go"), "nothing");
  await mkdir(join(code, "empty"));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(code, { recursive: true });
});

describe("stale", () => {
  it("lists flags with their reasons and whom to ask", async () => {
    const { exitCode, stdout, stderr } = await flagwire("stale");
    expect(stdout.split("\n")).toEqual([
      "KEY   KIND     REASONS     SERVES  OWNER  EXPIRES     CHANGED     LAST USED  TICKET",
      "done  release  rolled-out  on      web    2999-01-01  2026-01-01             WEB-1",
      "gone  release  expired             web    2026-01-20  2026-01-01             WEB-1",
      "",
    ]);
    expect(stderr).toContain("nobody reports usage");
    expect(exitCode).toBe(0);
  });

  it("prints a JSON list, with the flags that no code mentions", async () => {
    const { stdout } = await flagwire("stale", "--code", code, "--json");
    const common = { kind: "release", owner: "web", ticket: "WEB-1" };
    const [expiresAt, changedAt] = ["2999-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"];
    expect(JSON.parse(stdout)).toEqual([
      { key: "done", reasons: ["rolled-out"], ...common, expiresAt, changedAt, servedVariant: "on" },
      {
        key: "gone",
        reasons: ["expired", "not-referenced"],
        ...common,
        expiresAt: "2026-01-20T00:00:00.000Z",
        changedAt,
      },
    ]);
  });

  it("takes other terms", async () => {
    const { stdout } = await flagwire("stale", "--days", "40", "--json");
    const found = (JSON.parse(stdout) as { key: string; reasons: string[] }[]).map(({ key, reasons }) => [
      key,
      reasons,
    ]);
    expect(found).toEqual([
      ["done", ["rolled-out", "not-changed"]],
      ["fresh", ["not-changed"]],
      ["gone", ["expired", "not-changed"]],
    ]);
    expect((await flagwire("stale", "--days", "41", "--json")).stdout).not.toContain("rolled-out");
  });

  it("exits with 1 and names the keys with --fail-on", async () => {
    const expired = await flagwire("stale", "--fail-on", "expired");
    expect([expired.exitCode, expired.stderr]).toEqual([1, expect.stringContaining("\n  gone: expired\n")]);
    expect(expired.stderr).not.toContain("done");
    const several = await flagwire("stale", "--fail-on", "rolled-out,not-referenced", "--code", code, "--json");
    expect(several.stderr).toContain("2 flags to clean up:\n  done: rolled-out\n  gone: not-referenced\n");
    expect((await flagwire("stale", "--fail-on", "not-evaluated,not-changed")).exitCode).toBe(0);
  });

  it("says since when usage is known as soon as anybody reports some", async () => {
    await server.evaluation.reportUsage({ clientName: "web", reportId: "1" });
    const { stderr } = await flagwire("stale");
    expect(stderr).toContain("usage is known since 2026-01-01T00:00:00.000Z");
  });

  it("tells when a flag that no code mentions was used last", async () => {
    const [startTime, endTime] = [timestampFromMs(nowMs - 60_000), timestampFromMs(nowMs)];
    const counts = [{ flagKey: "fresh", variant: "off", count: 1n }];
    await server.evaluation.reportUsage({ clientName: "web", reportId: "2", startTime, endTime, counts });
    const { stdout } = await flagwire("stale", "--code", code, "--exclude", "a.go", "--json");
    const fresh = (JSON.parse(stdout) as { key: string }[]).find(({ key }) => key === "fresh");
    expect(fresh).toMatchObject({ reasons: ["not-referenced"], lastUsedTime: "2026-02-10T00:00:00.000Z" });
  });

  it("does not take a folder without any code for one that mentions no flags", async () => {
    const { exitCode, stderr } = await flagwire("stale", "--code", join(code, "empty"));
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("has no texts")]);
  });

  it("tells where an environment has nothing to clean up", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await flagwire("flags", "delete", "gone");
    const { exitCode, stdout } = await flagwire("stale", "--env", "staging", "--json");
    expect({ exitCode, list: JSON.parse(stdout) }).toEqual({ exitCode: 0, list: [] });
    expect((await flagwire("stale", "--env", "staging")).stderr).toContain("nothing to clean up in staging");
  });
});
