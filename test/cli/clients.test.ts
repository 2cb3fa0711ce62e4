import { readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { openMirror } from "../../src/client/index.js";
import { openTestServer } from "../support/server.js";
import { runFlagwire } from "./run-flagwire.js";

describe("flagwire clients", () => {
  it("shows who is connected, how far behind, and which version a mirror is of", async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8"));
    const server = await openTestServer();
    onTestFinished(() => server[Symbol.asyncDispose]());
    const run = (...args: string[]) => runFlagwire(["clients", ...args, "--address", server.address]);
    expect(await run()).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: expect.stringContaining("no mirror has a stream of production open; the head is at revision 1"),
    });
    const mirror = await openMirror({ address: server.address, clientName: "checkout" });
    onTestFinished(() => mirror.close());
    const table = await run();
    expect(table.stdout).toMatch(
      /^NAME +VERSION +ENVIRONMENT +REVISION +LAG +CONNECTED SINCE +TOKEN +PEER\ncheckout +/,
    );
    expect(table.stdout).toMatch(/\ncheckout +\S+ +production +1 +0 +\S+Z +- +127\.0\.0\.1:\d+\n$/);
    expect(table.stderr).toContain("1 connected; the head is at revision 1");
    const document = JSON.parse((await run("--all", "--json")).stdout);
    expect(document).toMatchObject({
      clients: [{ clientName: "checkout", clientVersion: version, environment: "production", revision: "1" }],
      totalCount: 1,
      revision: "1",
    });
    expect(await run("--env", "nope")).toMatchObject({ exitCode: 3 });
  });
});
