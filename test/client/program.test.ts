import { spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { openGrpcHubServer } from "../support/grpc-hub-server.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";

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
        console.log(error.kind, process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).join());
      }`;
    expect(await run(source)).toEqual({ code: 0, output: "connection \n" });
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

describe("the client's code", () => {
  it("needs neither the store, the server nor their libraries", async () => {
    const files = await readdir(join(build.folder, "out"), { recursive: true, withFileTypes: true });
    const ours = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    expect(ours.length).toBeGreaterThan(30);
    for (const file of ours) {
      expect(file).toMatch(/out\/(gen|src\/(base|client|engine))\//);
      expect(await readFile(file, "utf8")).not.toMatch(/from "(lmdb|@grpc\/|fastify|pino|yaml|commander)/);
    }
  });
});
