// Runs an example by its name, against the server at FLAGWIRE_ADDRESS; where that is not set, against one of its own with the
// sample flags, which ends with the example. Flagwire is compiled before, where that is not done yet.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { compile } from "./compile.mjs";

const folder = import.meta.dirname;
const name = process.argv[2] ?? "";
if (!/^[a-z]+$/.test(name) || !existsSync(join(folder, name))) {
  console.error("which example? examples/README.md lists them");
  process.exit(2);
}
if (!compile(join(folder, ".."))) process.exit(1);

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop.abort());

let server;
try {
  const env = { ...process.env };
  if (!env.FLAGWIRE_ADDRESS) {
    server = await startServer();
    env.FLAGWIRE_ADDRESS = server.address;
  } else {
    console.log(`Asking the server on ${env.FLAGWIRE_ADDRESS}.\n`);
  }
  // Its own server has no tokens, and refuses those of others. An empty one is none, as it is to the command line.
  if (server !== undefined || !env.FLAGWIRE_TOKEN) delete env.FLAGWIRE_TOKEN;
  const [command, ...args] = await commandOf(name);
  stop.signal.throwIfAborted();
  // A group of its own, as for the server: Ctrl-C at a terminal is for this process, which ends them in order.
  const example = spawn(command, args, { cwd: join(folder, name), stdio: "inherit", env, detached: true });
  stop.signal.addEventListener("abort", () => example.kill());
  const [code] = await once(example, "exit");
  if (!stop.signal.aborted) process.exitCode = code ?? 1;
} catch (error) {
  if (!stop.signal.aborted) throw error;
} finally {
  await server?.end();
}

async function startServer() {
  const data = await mkdtemp(join(tmpdir(), "flagwire-example-"));
  const main = join(folder, "../bin/flagwire.js");
  const options = ["--listen", "127.0.0.1:0", "--data", data, "--import", join(folder, "flags.yaml")];
  // Any page may ask this server, whatever port the example's page is on. Yours should name them.
  const child = spawn(process.execPath, [main, "serve", "--json", ...options, "--cors-origins", "*"], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(child, "exit");
  let log = "";
  child.stderr.on("data", (text) => {
    log += text;
  });
  const [ready] = await Promise.race([once(child.stdout, "data"), ended]);
  if (!Buffer.isBuffer(ready)) {
    console.error(log);
    await rm(data, { recursive: true, force: true });
    throw new Error("the server did not start");
  }
  const { address } = JSON.parse(ready.toString());
  console.log(`A server with the sample flags is on ${address}. Change one meanwhile, in another terminal:`);
  console.log(`  npx flagwire rollout new-checkout 100% --address ${address}\n`);
  let isEnding = false;
  void ended.then(([code, signal]) => {
    if (isEnding) return;
    const how = signal ?? `exit code ${code}`;
    console.error(`The example's own server has ended (${how}), and is not started again. Ctrl-C ends the example.`);
  });
  return {
    address,
    async end() {
      isEnding = true;
      child.kill();
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** Those in other languages bring a script; those in TypeScript are compiled, with their packages left where they are. */
async function commandOf(name) {
  if (existsSync(join(folder, name, "run.sh"))) return ["./run.sh"];
  const outfile = join(folder, name, "dist/main.js");
  await build({
    entryPoints: [join(folder, name, "main.ts")],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
  return [process.execPath, "dist/main.js"];
}
