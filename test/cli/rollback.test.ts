import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
const flagwire = (...args: string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });
const json = async (...args: string[]) => JSON.parse((await flagwire(...args, "--json")).stdout);
const headRevision = async () => String((await server.admin.listEnvironments({})).revision);

/** Creates a switch that is off, and gives the revision that did. */
async function createSwitch(key: string): Promise<string> {
  const { revision } = await json("flags", "create", key, "--type", "boolean", "--kind", "operational");
  return revision;
}

beforeAll(async () => {
  server = await openTestServer();
});

afterAll(() => server[Symbol.asyncDispose]());

it("rollback goes back, says what it changed, and can be rolled back", async () => {
  const created = await createSwitch("a");
  const { revision: on } = await json("on", "a");
  const { exitCode, stdout } = await flagwire("rollback", created, "--flag", "a", "--comment", "INC-42");
  expect(exitCode).toBe(0);
  expect(stdout).toBe(
    `rolled back a to revision ${created}: 1 change (revision ${await headRevision()})\n  turned off a in production\n`,
  );
  expect((await flagwire("history", "a", "--limit", "1")).stdout).toContain("INC-42");
  expect(await json("rollback", on)).toMatchObject({ revision: await headRevision(), omittedChanges: 0 });
  expect(await json("eval", "a")).toMatchObject({ value: true });
});

it("rollback --dry-run changes nothing", async () => {
  const created = await createSwitch("tried");
  await flagwire("on", "tried");
  const before = await headRevision();
  const { stdout } = await flagwire("rollback", created, "--dry-run", "--env", "production");
  expect(stdout).toBe(
    `rolled back in production to revision ${created}: 1 change (dry run: nothing was changed)\n  turned off tried in production\n`,
  );
  expect(await headRevision()).toBe(before);
  expect((await flagwire("rollback", before)).stdout).toContain(`there is nothing to roll back to revision ${before}`);
});

it("rollback says which flags are still killed", async () => {
  const created = await createSwitch("killed");
  await flagwire("on", "killed");
  await flagwire("kill", "killed", "--reason", "fire");
  const { stderr } = await flagwire("rollback", created, "--flag", "killed");
  expect(stderr).toBe('flagwire: still killed, until "flagwire revive": killed in production\n');
});

it("rollback to nowhere ends with code 3, or 2 where that is no revision", async () => {
  const unknown = await flagwire("rollback", "9999");
  expect(unknown.exitCode).toBe(3);
  expect(unknown.stderr).toContain("there is no revision 9999 yet");
  expect((await flagwire("rollback", "1", "--flag", "none")).exitCode).toBe(3);
  expect((await flagwire("rollback", "soon")).exitCode).toBe(2);
  expect((await flagwire("rollback")).exitCode).toBe(2);
  expect((await flagwire("rollback", "1", "--flag=")).exitCode).toBe(2);
});
