import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { systemClock } from "../../src/base/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { openGrpcHubServer } from "../support/grpc-hub-server.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { BadProxy } from "./bad-proxy.js";

let build: Build;

/** The client alone, compiled: what a program of its own gets. */
beforeAll(async () => {
  build = await buildProgram("src/client/index.ts");
}, 60_000);

afterAll(() => build.remove());

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a module to its end by itself. */
async function run(source: string, onOutput: (output: string) => void = () => {}): Promise<Ended> {
  const file = join(build.folder, "main.mjs");
  await writeFile(file, `import { openMirror } from "./out/src/client/index.js";\n${source}`);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      onOutput(output);
    });
  }
  const code = await new Promise<number | null>((done) => child.on("close", done));
  return { code, output };
}

function openServer() {
  const hub = createWatchHub({ clock: systemClock, random: Math.random });
  new Publisher(hub, [booleanFlag("a", 1)]);
  return openGrpcHubServer(hub);
}

describe("a program with a mirror", () => {
  it("ends by itself although the mirror is open", async () => {
    await using server = await openServer();
    const source = `
      const flags = await openMirror({ address: "${server.address}" });
      console.log(flags.boolean("a", false), process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).join());`;
    expect(await run(source)).toEqual({ code: 0, output: "true \n" });
  });

  it("ends by itself although the mirror is reconnecting", async () => {
    const server = await openServer();
    const source = `
      const flags = await openMirror({ address: "${server.address}", backoff: { minMs: 1, maxMs: 5 } });
      const failures = [];
      const busy = setInterval(() => {}, 1000);
      flags.on("error", (error) => {
        failures.push(error.kind);
        if (failures.length === 3) clearInterval(busy);
      });
      console.log("open");
      process.on("exit", () => console.log(failures[0]));`;
    let closing: Promise<void> | undefined;
    const ended = await run(source, (output) => {
      if (output.includes("open")) closing ??= Promise.resolve(server[Symbol.asyncDispose]());
    });
    await closing;
    expect(ended).toEqual({ code: 0, output: "open\nconnection\n" });
  });

  it("ends by itself after the mirror has reconnected", async () => {
    await using server = await openServer();
    const source = `
      const flags = await openMirror({ address: "${server.address}", backoff: { minMs: 1, maxMs: 5 } });
      console.log("open");
      const busy = setInterval(() => {
        if (flags.counts.nones === 1) clearInterval(busy);
      }, 10);`;
    const ended = await run(source, (output) => {
      if (output === "open\n") for (const session of server.connections) session.destroy();
    });
    expect(ended).toEqual({ code: 0, output: "open\n" });
  });

  it("stays alive while it waits for the server", async () => {
    const server = await openServer();
    await server[Symbol.asyncDispose]();
    const source = `
      try {
        await openMirror({ address: "${server.address}", connectTimeoutMs: 700 });
      } catch (error) {
        const resources = () => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).join();
        // What was closed is gone after a turn or two.
        setImmediate(() => setImmediate(() => console.log(error.kind, resources())));
      }`;
    expect(await run(source)).toEqual({ code: 0, output: "connection \n" });
  });

  it("stays alive while it waits for a revision, and not longer", async () => {
    await using server = await openServer();
    const source = `
      const flags = await openMirror({ address: "${server.address}" });
      const kind = await flags.waitFor(99, { timeoutMs: 300 }).catch((error) => error.kind);
      console.log(kind, process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).join());`;
    expect(await run(source)).toEqual({ code: 0, output: "timeout \n" });
  });

  it("holds no socket and no timer after closing", async () => {
    await using server = await openServer();
    const source = `
      const flags = await openMirror({ address: "${server.address}" });
      await flags.close();
      setImmediate(() => setImmediate(() => console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Port/.test(name)).length)));`;
    expect(await run(source)).toEqual({ code: 0, output: "0\n" });
  });
});

describe("a program with a mirror behind a proxy that knows HTTP/1.1 only", () => {
  let server: TestServer;
  let proxy: BadProxy;

  beforeEach(async () => {
    server = await openTestServer();
    proxy = await new BadProxy(server.server.address.port).listen();
    proxy.mode = "buffers";
    const variants = { on: { kind: { case: "boolValue" as const, value: true } } };
    await server.admin.createFlag({ flag: { key: "a", type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants } });
  });

  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("ends by itself while it polls and reports", async () => {
    const source = `
      const options = { address: "${proxy.address}", pollIntervalMs: 20, reportUsage: { intervalMs: 20 } };
      const flags = await openMirror(options);
      const busy = setInterval(() => {
        flags.boolean("a", false);
        if (flags.counts.polls > 5) clearInterval(busy);
      }, 10);
      process.on("exit", () => console.log(flags.status, flags.delivery));`;
    expect(await run(source)).toEqual({ code: 0, output: "ready poll\n" });
    const { usages } = await server.admin.listUsage({});
    expect(usages.map(({ flagKey }) => flagKey)).toEqual(["a"]);
  });

  it("ends by itself while a poll is not answered", async () => {
    const source = `
      const options = { address: "${proxy.address}", pollIntervalMs: 20, pollTimeoutMs: 3600000, reportUsage: false };
      const flags = await openMirror(options);
      console.log("open");
      let quiet = 0;
      let attempts = 0;
      const busy = setInterval(() => {
        quiet = flags.counts.attempts === attempts ? quiet + 1 : 0;
        attempts = flags.counts.attempts;
        if (quiet < 20) return;
        clearInterval(busy);
        // It fires only if something else keeps the program alive.
        setTimeout(() => process.exit(3), 3000).unref();
      }, 20);`;
    const ended = await run(source, () => {
      proxy.mode = "swallows";
    });
    expect(ended).toEqual({ code: 0, output: "open\n" });
    expect(proxy.http1Requests.length).toBeGreaterThan(1);
  });

  it("stays alive for its last report, and holds nothing after closing", async () => {
    const source = `
      const flags = await openMirror({ address: "${proxy.address}", backoff: { minMs: 1, maxMs: 5 } });
      flags.boolean("a", false);
      await flags.close();
      setImmediate(() => setImmediate(() => console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Port/.test(name)).length)));`;
    expect(await run(source)).toEqual({ code: 0, output: "0\n" });
    const { usages } = await server.admin.listUsage({});
    expect(usages).toMatchObject([{ flagKey: "a", count: 1n }]);
  });
});

describe("the client's code", () => {
  it("needs neither the store, the server nor their libraries", async () => {
    expect(build.sources.length).toBeGreaterThan(30);
    for (const source of build.sources) expect(source).toMatch(/^(gen|src\/(base|client|engine))\//);
    expect(build.packages).toContain("@connectrpc/connect");
    for (const name of build.packages) expect(name).not.toMatch(/^(lmdb|@grpc\/|fastify|pino|yaml|commander)/);
  });
});
