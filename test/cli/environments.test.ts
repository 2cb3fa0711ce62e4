import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
const flagwire = (...args: string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });
const json = async (...args: string[]) => JSON.parse((await flagwire(...args, "--json")).stdout);
const environment = async (name: string) => (await json("environments", "describe", name)).environment;

beforeAll(async () => {
  server = await openTestServer();
  await flagwire("flags", "create", "a", "--type", "boolean", "--kind", "operational", "--on");
  await flagwire("flags", "create", "b", "--type", "boolean", "--kind", "operational");
});

afterAll(() => server[Symbol.asyncDispose]());

describe("environments set", () => {
  it("changes what is named and leaves the rest", async () => {
    await flagwire("environments", "create", "rest", "--description", "a test");
    const { stdout } = await flagwire("environments", "set", "rest", "--private-attributes", "email, user.ip");
    expect(stdout).toMatch(/^changed private_attributes of the environment rest \(revision \d+\)\n$/);
    await flagwire("environments", "set", "rest", "--keep-contexts", "on", "--comment", "INC-1");
    const set = { description: "a test", privateAttributes: ["email", "user.ip"], keepContexts: true };
    expect(await environment("rest")).toMatchObject(set);
    await flagwire("environments", "set", "rest", "--keep-contexts", "off", "--description", "");
    expect(await environment("rest")).toMatchObject({ ...set, description: "", keepContexts: false });
    expect((await flagwire("history", "--limit", "2")).stdout).toMatch(
      /changed environment rest \(keeps no contexts; description\)[\s\S]*changed environment rest \(keeps contexts\) +INC-1/,
    );
  });

  it("says what is no longer private, and changes nothing in a dry run", async () => {
    await flagwire("environments", "create", "less");
    await flagwire("environments", "set", "less", "--private-attributes", "email,ip");
    const tried = await flagwire("environments", "set", "less", "--private-attributes", "", "--dry-run");
    expect(tried.stderr).toBe("flagwire: would be no longer private in less: email, ip\n");
    expect(await environment("less")).toMatchObject({ privateAttributes: ["email", "ip"] });
    const { stderr } = await flagwire("environments", "set", "less", "--private-attributes", "email");
    expect(stderr).toBe("flagwire: are no longer private in less: ip\n");
    expect((await flagwire("history", "--limit", "1")).stdout).toContain("(private attributes: 1, were 2)");
  });

  it("without anything to change, or with what cannot be meant, ends with code 2; unknown names with 3", async () => {
    const set = (...args: string[]) => flagwire("environments", "set", ...args);
    expect(await set("production")).toMatchObject({ exitCode: 2 });
    expect(await set("production", "--private-attributes", "email,,ip")).toMatchObject({ exitCode: 2 });
    expect(await set("production", "--keep-contexts", "maybe")).toMatchObject({ exitCode: 2 });
    expect(await set("nowhere", "--description", "x")).toMatchObject({ exitCode: 3 });
    const twice = await set("production", "--private-attributes", "email,email");
    expect(twice).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("is there twice") });
  });
});

describe("environments describe", () => {
  it("tells what there is to know of one", async () => {
    await flagwire("environments", "create", "told", "--copy-from", "production");
    await flagwire("environments", "set", "told", "--private-attributes", "email", "--keep-contexts", "on");
    await flagwire("kill", "a", "--env", "told", "--reason", "fire");
    expect((await flagwire("environments", "describe", "told")).stdout).toBe(
      [
        "name                told",
        "created by          ada",
        "private attributes  email",
        "contexts            0 kept",
        "flags               2, 1 enabled, 1 killed",
        "segments            0\n",
      ].join("\n"),
    );
    expect(await json("environments", "describe", "told")).toMatchObject({ flagCount: 2, keptContexts: 0 });
    expect((await flagwire("environments", "list")).stdout).toMatch(/^told +ada +kept$/m);
    expect(await flagwire("environments", "describe", "nowhere")).toMatchObject({ exitCode: 3 });
  });

  it("says of numbers that are 0 that the token may not be told them", async () => {
    await using other = await openTestServer();
    const admin = { FLAGWIRE_ADDRESS: other.address };
    const token = async (...args: string[]) =>
      (await runFlagwire(["token", "create", "--name", "t", ...args], { env: admin })).stdout.trim();
    await runFlagwire(["environments", "create", "qa"], { env: admin });
    const limited = await token("--role", "reader", "--environments", "production");
    const describeAs = (env: Record<string, string>) => runFlagwire(["environments", "describe", "qa"], { env });
    const { exitCode, stderr } = await describeAs({ ...admin, FLAGWIRE_TOKEN: limited });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining("is not told the numbers")]);
  });
});
