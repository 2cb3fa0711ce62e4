import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Client, OpenFeature, ProviderEvents, ProviderStatus } from "@openfeature/server-sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { FlagwireProvider, type FollowedMirrorOptions } from "../../src/openfeature/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { booleanFlag, openServer, type RestartableServer, serve } from "../server/admin-support.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { openGrpcHubServer } from "../support/grpc-hub-server.js";
import * as items from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

const quick: FollowedMirrorOptions = { staleAfterMs: 400, backoff: { minMs: 10, maxMs: 40 } };

let server: RestartableServer;
let client: Client;
let domains = 0;

beforeEach(async () => {
  server = await openServer({ watch: { heartbeatMs: 50 } });
  await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("on") } });
  client = OpenFeature.getClient(`domain-${domains++}`);
});

afterEach(() => OpenFeature.clearProviders());

function set(options: FollowedMirrorOptions = {}): Promise<void> {
  const provider = new FlagwireProvider({ address: server.address, ...quick, ...options });
  return OpenFeature.setProviderAndWait(String(client.metadata.domain), provider);
}

const isOn = () => client.getBooleanValue("a", false);
const becomes = (status: ProviderStatus) => vi.waitFor(() => expect(client.providerStatus).toBe(status), 10_000);
const samePort = () => ({ listen: server.server.address });

describe("a server that dies and returns", () => {
  it("makes the provider stale, then ready, with what changed meanwhile", async () => {
    await set();
    const changed: unknown[] = [];
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) => changed.push(details?.flagsChanged));
    const listen = samePort();
    await server.stop();
    await becomes(ProviderStatus.STALE);
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ value: true, reason: "STATIC" });
    await server.restart();
    await server.admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, default: serve("off") } });
    await server.restart(listen);
    await becomes(ProviderStatus.READY);
    expect(await isOn()).toBe(false);
    expect(changed).toEqual([["a"]]);
  });
});

describe("a server that is absent at the start", () => {
  it("leaves the provider in error, and makes it ready by coming", async () => {
    const listen = samePort();
    await server.stop();
    await expect(set({ connectTimeoutMs: 200 })).rejects.toMatchObject({ code: "PROVIDER_NOT_READY" });
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ value: false, errorCode: "PROVIDER_NOT_READY" });
    await server.restart(listen);
    await becomes(ProviderStatus.READY);
    expect(await isOn()).toBe(true);
  });
});

describe("a server that refuses", () => {
  it("an environment makes the provider fatal, until it is created", async () => {
    await expect(set({ environment: "staging" })).rejects.toMatchObject({
      code: "PROVIDER_FATAL",
      message: expect.stringContaining("staging"),
    });
    expect(client.providerStatus).toBe(ProviderStatus.FATAL);
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await becomes(ProviderStatus.READY);
    expect(await client.getBooleanDetails("a", true)).toMatchObject({ flagMetadata: { flagSetId: "staging" } });
  });

  it("a token makes the provider fatal", async () => {
    const hub = createWatchHub({ clock: new VirtualClock(), random: () => 0.5 });
    new Publisher(hub, [items.booleanFlag("a", 1)]);
    await using guarded = await openGrpcHubServer(hub);
    await expect(set({ address: guarded.address, token: "wrong" })).rejects.toMatchObject({
      code: "PROVIDER_FATAL",
      message: expect.stringContaining("the token is unknown"),
    });
    await OpenFeature.clearProviders();
    await set({ address: guarded.address, token: "right" });
    expect(await isOn()).toBe(true);
  });
});

describe("domains", () => {
  it("have environments of their own", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.updateTargeting({
      targeting: { flagKey: "a", environment: "staging", enabled: true, default: serve("off") },
    });
    for (const environment of ["production", "staging"]) {
      const provider = new FlagwireProvider({ address: server.address, environment });
      await OpenFeature.setProviderAndWait(environment, provider);
    }
    expect(await OpenFeature.getClient("production").getBooleanValue("a", false)).toBe(true);
    expect(await OpenFeature.getClient("staging").getBooleanValue("a", true)).toBe(false);
  });

  it("may take a provider again that was replaced", async () => {
    const provider = new FlagwireProvider({ address: server.address, ...quick });
    await OpenFeature.setProviderAndWait("one", provider);
    await OpenFeature.setProviderAndWait("one", new FlagwireProvider({ address: server.address }));
    await OpenFeature.setProviderAndWait("one", provider);
    await server.admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, default: serve("off") } });
    const again = OpenFeature.getClient("one");
    await vi.waitFor(async () => expect(await again.getBooleanValue("a", true)).toBe(false), 10_000);
  });
});

describe("a program with a provider", () => {
  let build: Build;

  beforeAll(async () => {
    build = await buildProgram("src/openfeature/index.ts");
  }, 60_000);
  afterAll(() => build.remove());

  async function run(body: string): Promise<{ code: number | null; output: string }> {
    const file = join(build.folder, "main.mjs");
    const source = `
      import { OpenFeature } from "@openfeature/server-sdk";
      import { FlagwireProvider } from "./out/src/openfeature/index.js";
      const client = OpenFeature.getClient();
      const set = (options) => OpenFeature.setProviderAndWait(new FlagwireProvider({ address: "${server.address}", ...options }));
      const held = () => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Port/.test(name)).length;
      ${body}`;
    await writeFile(file, source);
    const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const code = await new Promise<number | null>((done) => child.on("close", done));
    return { code, output };
  }

  it("holds no socket and no timer after closing, and ends by itself", async () => {
    const ended = await run(`
      await set();
      console.log(await client.getBooleanValue("a", false));
      await OpenFeature.close();
      setImmediate(() => setImmediate(() => console.log(held())));`);
    expect(ended).toEqual({ code: 0, output: "true\n0\n" });
  });

  it("ends by itself without closing too", async () => {
    expect(await run(`await set(); console.log(client.providerStatus);`)).toEqual({ code: 0, output: "READY\n" });
  });

  it("ends by itself while it waits for a server that did not come", async () => {
    const body = `await set({ address: "127.0.0.1:1", connectTimeoutMs: 200 }).catch((error) => console.log(error.code));`;
    expect(await run(body)).toEqual({ code: 0, output: "PROVIDER_NOT_READY\n" });
  });

  it("loads neither the store, the server nor their libraries", async () => {
    for (const source of build.sources) {
      expect(source).toMatch(/^(gen|src\/(base|client|engine|openfeature|resolution))\//);
    }
    expect(build.packages).toContain("@openfeature/server-sdk");
    for (const name of build.packages) expect(name).not.toMatch(/^(lmdb|@grpc\/|fastify|pino|yaml|commander)/);
  });
});
