import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire, startFlagwire } from "./run-flagwire.js";

describe("flagwire token", () => {
  let server: TestServer;
  let root: string;

  const flagwire = (token: string | undefined, ...args: string[]): Promise<CliRun> =>
    runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address, ...(token && { FLAGWIRE_TOKEN: token }) } });

  beforeAll(async () => {
    server = await openTestServer();
    const { stdout } = await flagwire(undefined, "token", "create", "--name", "root", "--role", "admin");
    root = stdout.trim();
  });

  afterAll(() => server[Symbol.asyncDispose]());

  it("create prints the token on standard output and nothing else there", async () => {
    const { stdout, stderr } = await flagwire(root, "token", "create", "--name", "ci", "--role", "reader");
    expect(stdout).toMatch(/^fw_[0-9a-z]{12}_[\w-]{43}\n$/);
    expect(stderr).toContain("this is the only time that it is shown");
  });

  it("create --json gives id, token and revision", async () => {
    const args = ["--name", "x", "--role", "evaluator", "--expires-at", "2099-01-01T00:00:00Z", "--json"];
    const { stdout } = await flagwire(root, "token", "create", ...args);
    expect(JSON.parse(stdout)).toEqual({
      id: expect.stringMatching(/^[0-9a-z]{12}$/),
      token: expect.stringMatching(/^fw_/),
      name: "x",
      role: "evaluator",
      environments: [],
      expiresAt: "2099-01-01T00:00:00.000Z",
      revision: expect.stringMatching(/^\d+$/),
    });
  });

  it("list shows them without their secrets, and revoke ends one", async () => {
    const { stdout: made } = await flagwire(root, "token", "create", "--name", "gone", "--role", "editor", "--json");
    const { id, token } = JSON.parse(made) as { id: string; token: string };
    const { stdout: listed } = await flagwire(root, "token", "list");
    expect(listed).toMatch(new RegExp(`${id}\\s+gone\\s+editor\\s+all\\s+never`));
    expect(listed).not.toContain(token.slice(-43));
    expect((await flagwire(token, "flags", "list")).exitCode).toBe(0);
    expect((await flagwire(root, "token", "revoke", id)).exitCode).toBe(0);
    const { exitCode, stderr } = await flagwire(token, "flags", "list");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("the token is unknown, expired or revoked");
  });

  it("a role that does not suffice is named with the one that does", async () => {
    const { stdout } = await flagwire(root, "token", "create", "--name", "reads", "--role", "reader");
    const { exitCode, stderr } = await flagwire(stdout.trim(), "kill", "a", "--reason", "x");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("this needs the role operator; the token has reader");
  });

  it.each([
    [["--role", "reader"], "--name"],
    [["--name", "a"], "--role"],
    [["--name", "a", "--role", "owner"], "owner"],
    [["--name", "a", "--role", "reader", "--environments", "a,,b"], "--environments"],
    [["--name", "a", "--role", "reader", "--expires-at", "tomorrow"], "--expires-at"],
  ])("create %j is wrong usage", async (args, named) => {
    const { exitCode, stderr } = await flagwire(root, "token", "create", ...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(named);
  });
});

it("a first token that can make no others is made with a warning", async () => {
  await using server = await openTestServer();
  const env = { FLAGWIRE_ADDRESS: server.address };
  const { exitCode, stderr } = await runFlagwire(["token", "create", "--name", "a", "--role", "reader"], { env });
  expect(exitCode).toBe(0);
  expect(stderr).toContain("this one cannot make others");
});

describe("a data directory", () => {
  let path: string;

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), "flagwire-token-"));
  });

  afterEach(() => rm(path, { recursive: true, force: true }));

  it("is not served to other machines before it has a token, which can be made without a server", async () => {
    const refused = await runFlagwire(["serve", "--listen", "0.0.0.0:0", "--data", path]);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain(`flagwire token create --name admin --role admin --data ${path}`);
    const created = await runFlagwire(["token", "create", "--name", "admin", "--role", "admin", "--data", path]);
    expect(created.exitCode).toBe(0);
    const file = new URL("../../examples/flags.yaml", import.meta.url).pathname;
    const serving = startFlagwire(["serve", "--listen", "0.0.0.0:0", "--data", path, "--import", file]);
    try {
      await expect.poll(() => serving.stdout()).toContain("every call needs a token");
      const [, port] = /serves on 0\.0\.0\.0:(\d+)/.exec(serving.stdout()) ?? [];
      const env = { FLAGWIRE_ADDRESS: `127.0.0.1:${port}` };
      expect((await runFlagwire(["flags", "list"], { env })).exitCode).toBe(3);
      const { stdout } = await runFlagwire(["flags", "list", "--token", created.stdout.trim()], { env });
      expect(stdout).toContain("new-checkout");
    } finally {
      serving.interrupt();
      await serving.done;
    }
  });
});
