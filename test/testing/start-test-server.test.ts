import { createServer } from "node:net";
import { Code, type ConnectError } from "@connectrpc/connect";
import { FlagdProvider } from "@openfeature/flagd-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Mirror, openMirror } from "../../src/client/index.js";
import { Role } from "../../src/contract/index.js";
import { createTestFlags, startTestServer, type TestServer, variant, variants } from "../../src/testing/index.js";

const RECONNECT = { backoff: { minMs: 10, maxMs: 50 } };

let server: TestServer;
let mirror: Mirror;

beforeAll(async () => {
  server = await startTestServer({
    flags: { "new-checkout": true, "button-color": variants({ red: "#d73027", blue: "#4575b4" }) },
    environments: ["staging"],
    corsOrigins: ["http://app.test"],
  });
  mirror = await openMirror({ address: server.address, ...RECONNECT });
});

afterAll(async () => {
  await mirror?.close();
  await server?.close();
});

describe("a test server", () => {
  it("serves its flags in all its environments", async () => {
    expect(mirror.details("button-color", "")).toMatchObject({ value: "#d73027", variant: "red", reason: "STATIC" });
    await using staging = await openMirror({ address: server.address, environment: "staging" });
    expect(staging.boolean("new-checkout", false)).toBe(true);
  });

  it("answers OFREP, also to pages of the origins that are given", async () => {
    const response = await fetch(`http://${server.address}/ofrep/v1/evaluate/flags/new-checkout`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: "http://app.test" },
      body: JSON.stringify({ context: { targetingKey: "user-7" } }),
    });
    expect(await response.json()).toMatchObject({ key: "new-checkout", value: true, variant: "on" });
    expect(response.headers.get("access-control-allow-origin")).toBe("http://app.test");
  });

  it("answers flagd's own provider", async () => {
    const [host = "", port] = server.address.split(":");
    const provider = new FlagdProvider({ host, port: Number(port), tls: false });
    await OpenFeature.setProviderAndWait("flagd", provider);
    expect(await OpenFeature.getClient("flagd").getStringValue("button-color", "")).toBe("#d73027");
    await OpenFeature.clearProviders();
  });

  it("sets flags as flags in memory are set", async () => {
    await mirror.waitFor(await server.set("button-color", variant("blue")));
    expect(mirror.details("button-color", "")).toMatchObject({ value: "#4575b4", variant: "blue" });
    await mirror.waitFor(await server.set("button-color", "#ffffff"));
    expect(mirror.details("button-color", "")).toMatchObject({ value: "#ffffff", variant: "value" });
    await mirror.waitFor(await server.set("limits", { max: 3 }));
    expect(mirror.object("limits", {})).toEqual({ max: 3 });
    await expect(server.set("limits", 3)).rejects.toThrow(/limits is of the type object, and 3 is not/);
    await mirror.waitFor(await server.set("limits", 3, { changeType: true }));
    expect(mirror.number("limits", 0)).toBe(3);
  });

  it("sets a flag in one environment alone", async () => {
    await using staging = await openMirror({ address: server.address, environment: "staging" });
    const revision = await server.set("new-checkout", false, { environment: "staging" });
    await Promise.all([mirror.waitFor(revision), staging.waitFor(revision)]);
    expect([mirror.boolean("new-checkout", false), staging.boolean("new-checkout", true)]).toEqual([true, false]);
  });

  it("keeps the value of other environments, also of a flag of one variant", async () => {
    await using staging = await openMirror({ address: server.address, environment: "staging" });
    await server.set("seats", 3);
    const revision = await server.set("seats", 5, { environment: "staging" });
    await Promise.all([mirror.waitFor(revision), staging.waitFor(revision)]);
    expect([mirror.number("seats", 0), staging.number("seats", 0)]).toEqual([3, 5]);
  });

  it("sets one flag in several environments at the same time", async () => {
    await using staging = await openMirror({ address: server.address, environment: "staging" });
    const revisions = await Promise.all([
      server.set("workers", 1, { environment: "production" }),
      server.set("workers", 2, { environment: "staging" }),
    ]);
    await Promise.all([mirror, staging].map((one) => one.waitFor(Math.max(...revisions))));
    expect([mirror.number("workers", 0), staging.number("workers", 0)]).toEqual([1, 2]);
  });

  it("serves what is set to everybody, also where the flag was killed", async () => {
    await server.set("doomed", true);
    await Promise.all([server.kill("doomed"), server.kill("doomed", { environment: "staging" })]);
    await mirror.waitFor(await server.set("doomed", true, { environment: "production" }));
    expect(mirror.boolean("doomed", false)).toBe(true);
    await using staging = await openMirror({ address: server.address, environment: "staging" });
    expect(staging.details("doomed", true).reason).toBe("KILLED");
  });

  it("kills and revives", async () => {
    await mirror.waitFor(await server.kill("new-checkout", { reason: "payments are failing" }));
    expect(mirror.details("new-checkout", true)).toMatchObject({ value: false, reason: "KILLED" });
    await mirror.waitFor(await server.revive("new-checkout"));
    expect(mirror.boolean("new-checkout", false)).toBe(true);
  });

  it("removes a flag, whose key can be used again", async () => {
    await server.set("short-lived", true);
    await mirror.waitFor(await server.remove("short-lived"));
    expect(mirror.details("short-lived", false).errorCode).toBe("FLAG_NOT_FOUND");
    await mirror.waitFor(await server.set("short-lived", "text now"));
    expect(mirror.string("short-lived", "")).toBe("text now");
  });

  it("refuses to remove a flag that there is not, as flags in memory do", async () => {
    const flags = createTestFlags({ a: true });
    const error: unknown = await server.remove('no "such"').catch((refusal) => refusal);
    expect(error).toMatchObject({ code: Code.NotFound, message: '[not_found] there is no flag "no \\"such\\""' });
    const { code, message } = error as ConnectError;
    expect(() => flags.remove('no "such"')).toThrow(expect.objectContaining({ name: "ConnectError", code, message }));
    flags.remove("a");
    expect(() => flags.remove("a")).toThrow('there is no flag "a"');
    expect(flags.revision).toBe(2);
  });

  it("takes a flag file over, with enum values by their short names", async () => {
    const flag = { key: "by-plan", type: "boolean", kind: "operational", variants: { on: true, off: false } };
    const condition = { match: { attribute: "plan", operator: "in", values: ["pro"] } };
    const rules = [{ id: "pro", condition, serve: { variant: "on" } }];
    const targetings = [{ flagKey: "by-plan", enabled: true, rules, default: { variant: "off" } }];
    await mirror.waitFor(await server.apply({ flags: [flag], targetings }));
    expect(mirror.details("by-plan", false, { plan: "pro" })).toMatchObject({ value: true, ruleId: "pro" });
    await expect(server.apply({ flags: [{ ...flag, type: "bool" }] })).rejects.toThrow(
      'the flag file: flags[0].type: "bool" is none of boolean, string, number, object',
    );
    await expect(server.apply({} as never)).rejects.toThrow(/no list named flags/);
  });

  it("dies and comes back at the same address with the same flags", async () => {
    const { address } = server;
    const { revision } = mirror;
    await server.stop();
    expect(server.isRunning).toBe(false);
    expect(() => server.admin).toThrow(/stopped: restart\(\) starts it again/);
    await expect(fetch(`http://${address}/readyz`)).rejects.toThrow();
    expect(mirror.boolean("new-checkout", false)).toBe(true);
    await server.restart();
    expect(server.address).toBe(address);
    const written = await server.set("new-checkout", false);
    expect(written).toBe(revision + 1);
    await mirror.waitFor(written);
    expect(mirror.boolean("new-checkout", true)).toBe(false);
  });

  it("comes back as often as it is told to, one time after the other", async () => {
    const { address } = server;
    await Promise.all([server.restart(), server.restart()]);
    expect([server.isRunning, server.address]).toEqual([true, address]);
    await Promise.all([server.restart(), server.stop()]);
    expect(server.isRunning).toBe(false);
    await server.restart();
    await mirror.waitFor(await server.set("after-restarts", true));
    expect(mirror.boolean("after-restarts", false)).toBe(true);
  });
});

describe("a test server with tokens", () => {
  it("lets nobody in without one, but the test itself", async () => {
    await using guarded = await startTestServer({ flags: { a: true }, environments: ["staging"] });
    const token = await guarded.createToken("reader", { environments: ["production"] });
    await guarded.restart();
    await expect(openMirror({ address: guarded.address })).rejects.toMatchObject({ kind: "refused" });
    await using reader = await openMirror({ address: guarded.address, token });
    await reader.waitFor(await guarded.set("a", false));
    expect(reader.boolean("a", true)).toBe(false);
    const elsewhere = openMirror({ address: guarded.address, token, environment: "staging" });
    await expect(elsewhere).rejects.toMatchObject({ kind: "refused" });
    expect((await guarded.admin.listTokens({})).tokens).toMatchObject([{ role: Role.READER }]);
    await expect(guarded.createToken("owner" as never)).rejects.toThrow(
      "owner is none of evaluator, reader, operator, editor, admin",
    );
  });
});

describe("startTestServer", () => {
  it("takes flagd's files", async () => {
    const file = new URL("../../examples/demo.flagd.json", import.meta.url);
    await using imported = await startTestServer({ file, environments: ["staging"] });
    await imported.apply(file, { environment: "staging" });
    for (const environment of ["production", "staging"]) {
      await using own = await openMirror({ address: imported.address, environment });
      expect(own.string("demo-greeting", "", { country: "NO" })).toBe("Hello!");
    }
  });

  it("lets go of its port when it is closed", async () => {
    const short = await startTestServer();
    await short.close();
    await expect(fetch(`http://${short.address}/readyz`)).rejects.toThrow();
    await expect(short.restart()).rejects.toThrow("the test server is closed");
  });

  it("lets go of its port when it is closed while it restarts", async () => {
    const short = await startTestServer();
    await Promise.all([short.restart(), short.close()]);
    expect(short.isRunning).toBe(false);
    await expect(fetch(`http://${short.address}/readyz`)).rejects.toThrow();
  });

  it("rejects where the port is taken", async () => {
    const taken = createServer();
    const port = await new Promise<number>((resolve) => {
      taken.listen(0, "127.0.0.1", () => {
        const address = taken.address();
        resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
      });
    });
    try {
      await expect(startTestServer({ port })).rejects.toThrow(new RegExp(`the test server cannot start: .*${port}`));
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
  });

  it("rejects what is no flag, without starting anything", async () => {
    await expect(startTestServer({ flags: { odd: null as never } })).rejects.toThrow(/null is no flag's value/);
    await expect(startTestServer({ file: "flags.yaml" })).rejects.toThrow(/YAML is not read here/);
  });

  it("rejects flags that the server refuses, and says why", async () => {
    const file = { flags: [{ key: "old", type: "boolean", kind: "release", variants: { on: true } }] };
    await expect(startTestServer({ file })).rejects.toThrow(
      /flags\["old"\]\.flag\.owner is required of a flag of kind release/,
    );
  });
});
