import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
const flagwire = (...args: string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });

beforeAll(async () => {
  server = await openTestServer();
  await flagwire("flags", "create", "a", "--type", "boolean", "--kind", "operational", "--comment", "a start"); // 2
  await flagwire("on", "a"); // 3
  await flagwire("rollout", "a", "25%"); // 4
  const shares = "{rollout: {shares: [{variant: on, weight: 30000}, {variant: off, weight: 70000}]}}";
  const targetings = `targetings: [{flagKey: a, enabled: true, offVariant: off, default: ${shares}}]`;
  await runFlagwire(["apply", "-f", "-", "--comment", "INC-42"], {
    env: { FLAGWIRE_ADDRESS: server.address },
    stdin: targetings,
  }); // 5
});

afterAll(() => server[Symbol.asyncDispose]());

describe("flagwire history", () => {
  it("shows what is different below each entry, but for what the entry says itself", async () => {
    const { stdout } = await flagwire("history", "a");
    const [header, newest, ...rest] = stdout.trimEnd().split("\n");
    expect(header).toMatch(/^REVISION +TIME +AUTHOR +CHANGES +COMMENT$/);
    expect(newest).toMatch(/^5 .*ada .*changed targeting of a in production.* INC-42$/);
    expect(rest.slice(0, 2)).toEqual([
      "    targeting.default.rollout.shares[on].weight: 25000 → 30000",
      "    targeting.default.rollout.shares[off].weight: 75000 → 70000",
    ]);
    expect(stdout).toMatch(/turned on a in production\n2 /);
  });

  it("--json has the documented fields, and the differences of each change", async () => {
    const { entries } = JSON.parse((await flagwire("history", "a", "--limit", "1", "--json")).stdout);
    expect(entries).toMatchObject([{ revision: "5", author: "ada", comment: "INC-42" }]);
    expect(entries[0].time).toMatch(/Z$/);
    expect(entries[0].changes[0].differences[0]).toEqual({
      path: "targeting.default.rollout.shares[on].weight",
      before: "25000",
      after: "30000",
    });
  });
});

describe("flagwire show", () => {
  it("tells all of one entry", async () => {
    const { stdout } = await flagwire("show", "3");
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toBe("revision  3");
    expect(lines[1]).toMatch(/^time {6}\d{4}-.*Z$/);
    expect(lines.slice(2)).toEqual(["author    ada", "turned on a in production", "  targeting.enabled: false → true"]);
    expect((await flagwire("show", "2")).stdout).toContain("comment   a start\ncreated flag a\n");
  });

  it("--json prints the entry", async () => {
    expect(JSON.parse((await flagwire("show", "5", "--json")).stdout)).toMatchObject({
      revision: "5",
      author: "ada",
      comment: "INC-42",
      changes: [{ key: "a", environment: "production" }],
    });
  });

  it("of an unknown revision ends with code 3, of none with code 2", async () => {
    const { exitCode, stderr } = await flagwire("show", "99");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("there is no revision 99 yet: the newest is 5");
    expect((await flagwire("show", "0")).exitCode).toBe(3);
    expect((await flagwire("show", "yesterday")).exitCode).toBe(2);
  });
});

describe("flagwire eval --at", () => {
  const evaluate = (...args: string[]) => flagwire("eval", "a", "--targeting-key", "user-1", ...args);

  it("answers as it was at a revision or a time", async () => {
    const at = async (moment: string) => JSON.parse((await evaluate("--at", moment, "--json")).stdout);
    expect(await at("2")).toMatchObject({ reason: "DISABLED", revision: "2" });
    expect(await at("3")).toMatchObject({ value: true, reason: "STATIC", revision: "3" });
    const { entries } = JSON.parse((await flagwire("history", "a", "--json")).stdout);
    expect(await at(entries[2].time)).toMatchObject({ value: true, reason: "STATIC" });
    const { stdout } = await evaluate("--at", "4", "--explain");
    expect(stdout).toContain("revision 4");
  });

  it("of what is not there ends with code 3, without a hint at the keys of today", async () => {
    const early = await evaluate("--at", "1");
    expect(early.exitCode).toBe(3);
    expect(early.stderr).toBe('flagwire: there was no flag "a" at revision 1\n');
    expect((await evaluate("--at", "99")).exitCode).toBe(3);
    expect((await evaluate("--at", "2099-01-01T00:00:00Z")).stderr).toContain("--at (at_time): has not come yet");
  });

  it.each(["yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "-1", ""])("of %j is wrong usage", async (moment) => {
    const { exitCode, stderr } = await evaluate(`--at=${moment}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--at");
  });
});
