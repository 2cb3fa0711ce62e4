import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openForgetfulServer } from "../server/past-support.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
const flagwire = (...args: string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });
const json = async (...args: string[]) => JSON.parse((await flagwire(...args, "--json")).stdout);

/** Creates a switch that is on and deletes it. Gives the revision that did. */
async function deleteSwitch(key: string): Promise<string> {
  await flagwire("flags", "create", key, "--type", "boolean", "--kind", "operational", "--on");
  return (await json("flags", "delete", key)).revision;
}

beforeAll(async () => {
  server = await openTestServer();
});

afterAll(() => server[Symbol.asyncDispose]());

describe("flags list --deleted", () => {
  it("says so where there are none", async () => {
    const { exitCode, stderr } = await flagwire("flags", "list", "--deleted");
    expect([exitCode, stderr]).toEqual([0, "flagwire: no flag was deleted whose key is still reserved\n"]);
  });

  it("shows keys, when and by whom they were deleted, and how they come back", async () => {
    const revision = await deleteSwitch("listed");
    const { stdout, stderr } = await flagwire("flags", "list", "--deleted");
    expect(stdout).toMatch(new RegExp(`^KEY +DELETED +BY +REVISION\nlisted +\\d{4}-.*Z +ada +${revision}\n$`));
    expect(stderr).toBe('flagwire: "flagwire flags restore KEY" brings one back\n');
    const { reservedKeys, ...rest } = await json("flags", "list", "--deleted");
    expect(reservedKeys).toMatchObject([{ key: "listed", deletedBy: "ada", revision }]);
    expect(rest).toEqual({ revision });
    expect((await flagwire("flags", "list", "--deleted", "--tag", "x")).exitCode).toBe(2);
  });
});

describe("flags restore", () => {
  it("brings a flag back with its settings", async () => {
    const revision = await deleteSwitch("back");
    const before = Number(revision) - 1;
    const tried = await flagwire("flags", "restore", "back", "--dry-run");
    expect(tried.stdout).toMatch(`would restore back as it was at revision ${before}: 3 changes (dry run: nothing`);
    expect((await flagwire("eval", "back")).exitCode).toBe(3);
    const { stdout } = await flagwire("flags", "restore", "back");
    expect(stdout).toMatch(
      new RegExp(`^restored back as it was at revision ${before}: 3 changes \\(revision ${Number(revision) + 1}\\)\n`),
    );
    expect(stdout).toContain("  created flag back\n");
    expect(await json("eval", "back")).toMatchObject({ value: true });
    expect((await flagwire("history", "back", "--limit", "1")).stdout).toContain(
      `restores back, which revision ${revision} deleted`,
    );
  });

  it("says which flag is still killed", async () => {
    await flagwire("flags", "create", "killed", "--type", "boolean", "--kind", "operational", "--on");
    await flagwire("kill", "killed", "--reason", "fire");
    await flagwire("flags", "delete", "killed");
    expect((await flagwire("flags", "restore", "killed")).stderr).toContain("still killed");
  });

  it("refuses a key that is not deleted, and names those like it", async () => {
    await deleteSwitch("checkout");
    await flagwire("flags", "create", "there", "--type", "boolean", "--kind", "operational");
    const there = await flagwire("flags", "restore", "there");
    expect([there.exitCode, there.stderr]).toEqual([3, "flagwire: the flag there is not deleted\n"]);
    const never = await flagwire("flags", "restore", "chekout");
    expect([never.exitCode, never.stderr]).toEqual([
      3,
      "flagwire: there is no deleted flag chekout; did you mean checkout?\n",
    ]);
  });

  it("says what to do where history does not reach back any more", async () => {
    const { address, admin } = await openForgetfulServer(3);
    const run = (...args: string[]) => runFlagwire([...args, "--address", address]);
    await run("flags", "create", "old", "--type", "boolean", "--kind", "operational");
    await run("flags", "delete", "old");
    const { revision: deleted } = await admin.listDeletedFlags({});
    for (const state of ["a", "b", "c", "d"]) {
      await admin.updateEnvironment({ environment: { name: "production", description: state } });
    }
    const { exitCode, stderr } = await run("flags", "restore", "old");
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(
      new RegExp(
        `^flagwire: old cannot be brought back: it was deleted at revision ${deleted}, and history begins at revision \\d by now\n`,
      ),
    );
    expect(stderr).toContain("flagwire flags create old --force");
  });
});
