import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;

const flagwire = (...args: readonly string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });

beforeAll(async () => {
  server = await openTestServer();
});

afterAll(() => server[Symbol.asyncDispose]());

describe("flags set", () => {
  const flag = async (key: string) => JSON.parse((await flagwire("flags", "get", key, "--json")).stdout).flag;

  beforeAll(async () => {
    const options = [
      "--type",
      "boolean",
      "--kind",
      "release",
      "--owner",
      "web",
      "--expires-at",
      "2027-01-01T00:00:00Z",
    ];
    await flagwire("flags", "create", "banner", ...options, "--tag", "a", "--tag", "b", "--ticket", "WEB-1");
    await flagwire("flags", "create", "switch", "--type", "boolean", "--kind", "operational");
  });

  it("changes what is named and leaves the rest", async () => {
    const before = await flag("banner");
    const options = ["--owner", "shop", "--expires-at", "2028-01-01T00:00:00Z", "--add-tag", "c", "--remove-tag", "a"];
    const { stdout } = await flagwire("flags", "set", "banner", ...options);
    expect(stdout).toMatch(/^changed owner, expires_at, tags of banner \(revision \d+\)\n$/);
    const after = await flag("banner");
    const changed = { owner: "shop", expiresAt: "2028-01-01T00:00:00Z", tags: ["b", "c"] };
    const stamps = { revision: expect.any(String), changedAt: expect.any(String) };
    expect(after).toEqual({ ...before, ...changed, ...stamps });
  });

  it("clears what is set to nothing, and an expiry that is never", async () => {
    await flagwire("flags", "set", "switch", "--ticket", "T-1", "--expires-at", "2028-01-01T00:00:00Z");
    expect(await flag("switch")).toMatchObject({ ticket: "T-1", expiresAt: "2028-01-01T00:00:00Z" });
    await flagwire("flags", "set", "switch", "--ticket", "", "--expires-at", "never");
    expect(await flag("switch")).toMatchObject({ ticket: "" });
    expect(await flag("switch")).not.toHaveProperty("expiresAt");
  });

  it("answers with the flag and the revision, and changes nothing in a dry run", async () => {
    const { stdout } = await flagwire("flags", "set", "switch", "--description", "later", "--dry-run", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ flag: { key: "switch" }, revision: "0" });
    expect(await flag("switch")).toMatchObject({ description: "" });
  });

  it.each([
    [["banner"], 2, "nothing to change"],
    [["banner", "--expires-at", "soon"], 2, "--expires-at"],
    [["banner", "--add-tag", ""], 2, "--add-tag is empty"],
    [["banner", "--owner", ""], 3, "--owner (flag.owner)"],
    [["bannr", "--owner", "x"], 3, "did you mean banner?"],
    [["banner", "--add-tag", "x", "--expected-revision", "1"], 3, "changed"],
  ])("%j fails and says why", async (args, exitCode, said) => {
    const run = await flagwire("flags", "set", ...args);
    expect(run.stderr).toContain(said);
    expect(run.exitCode).toBe(exitCode);
  });
});

describe("flags delete", () => {
  it("names every flag that needs the flag, by environment, and deletes nothing", async () => {
    await flagwire("environments", "create", "staging");
    for (const key of ["base", "shop", "search"]) {
      await flagwire("flags", "create", key, "--type", "boolean", "--kind", "operational");
    }
    const needs = async (flagKey: string, environment: string) =>
      server.admin.updateTargeting({
        environment,
        targeting: { flagKey, prerequisites: [{ flagKey: "base", variants: ["on"] }] },
        updateMask: { paths: ["prerequisites"] },
      });
    await needs("shop", "production");
    await needs("shop", "staging");
    await needs("search", "staging");
    const { exitCode, stderr } = await flagwire("flags", "delete", "base");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("in use by flag shop (production), flag search (staging), flag shop (staging)");
    expect((await flagwire("flags", "get", "base")).exitCode).toBe(0);
  });
});

describe("environments delete", () => {
  it("deletes an environment, unless it is only tried or the one that must be", async () => {
    await flagwire("environments", "create", "short-lived");
    const names = async () => (await flagwire("environments", "list")).stdout;
    const tried = await flagwire("environments", "delete", "short-lived", "--dry-run");
    expect(tried.stdout).toBe("would delete the environment short-lived (dry run: nothing was changed)\n");
    expect(await names()).toContain("short-lived");
    const { stdout } = await flagwire("environments", "delete", "short-lived", "--json");
    expect(JSON.parse(stdout)).toEqual({ revision: expect.stringMatching(/^\d+$/) });
    expect(await names()).not.toContain("short-lived");
    expect(await flagwire("environments", "delete", "short-lived")).toMatchObject({ exitCode: 3 });
    const required = await flagwire("environments", "delete", "production");
    expect([required.exitCode, required.stderr]).toEqual([3, expect.stringContaining("cannot be deleted")]);
  });
});
