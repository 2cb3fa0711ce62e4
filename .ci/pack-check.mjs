// Packs the package, installs it into an empty folder, and uses it there as its users do.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "flagwire-pack-"));
const run = (command, args, options = {}) => execFileSync(command, args, { encoding: "utf8", cwd: folder, ...options });
const root = process.cwd();
const examples = resolve("examples");
let server;
try {
  const [packed] = JSON.parse(
    run("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: process.cwd(),
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
  const stray = packed.files
    .map(({ path }) => path)
    .filter((path) => !/^(bin|dist|proto)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path));
  if (stray.length > 0) throw new Error(`the package holds ${stray.join(", ")}`);
  const app = join(folder, "app");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", join(folder, packed.filename)], { cwd: app, stdio: "inherit" });

  // Which modules does importing each entry load?
  writeFileSync(
    join(app, "hook.mjs"),
    'import { register } from "node:module"; register("./log-loads.mjs", import.meta.url);',
  );
  writeFileSync(
    join(app, "log-loads.mjs"),
    `import { appendFileSync } from "node:fs";
export async function load(url, context, next) {
  appendFileSync(process.env.LOADED, url + "\\n");
  return next(url, context);
}`,
  );
  /** What a program loads, by URL. */
  const loadedBy = (name, code) => {
    const list = join(folder, `${name}.txt`);
    const env = { ...process.env, LOADED: list };
    run("node", ["--import", "./hook.mjs", "--input-type=module", "-e", code], { cwd: app, env, timeout: 30_000 });
    return readFileSync(list, "utf8").split("\n").slice(0, -1);
  };
  const packages = (...names) => names.map((name) => `/node_modules/${name}/`);
  const folders = (...names) => names.map((name) => `/flagwire/dist/src/${name}/`);
  const heavy = [
    ...packages("lmdb", "pino", "commander", "yaml"),
    ...folders("server", "store", "watch", "cluster", "cli"),
  ];
  const grpc = packages("@grpc/grpc-js");
  const sdks = packages("@openfeature/server-sdk", "@openfeature/web-sdk");
  const nodeOnly = [...packages("@connectrpc/connect-node", "@opentelemetry/api"), ...folders("client", "engine")];
  /** What must be loaded by each entry, and what must not. */
  const entries = {
    flagwire: { home: "client", not: [...heavy, ...grpc, ...sdks] },
    "flagwire/gen": { home: "contract", not: [...heavy, ...grpc, ...sdks, ...nodeOnly] },
    "flagwire/express": { home: "middleware", not: [...heavy, ...grpc, ...sdks, ...packages("express", "fastify")] },
    "flagwire/fastify": { home: "middleware", not: [...heavy, ...grpc, ...sdks, ...packages("express", "fastify")] },
    "flagwire/grpc": { home: "middleware", not: [...heavy, ...sdks] },
    "flagwire/connect": { home: "middleware", not: [...heavy, ...grpc, ...sdks] },
    "flagwire/testing": { home: "testing", not: [...heavy, ...grpc, ...sdks] },
    "flagwire/openfeature": { home: "openfeature", not: [...heavy, ...grpc, ...packages("@openfeature/web-sdk")] },
    "flagwire/openfeature-web": {
      home: "openfeature-web",
      not: [...heavy, ...grpc, ...nodeOnly, ...packages("@openfeature/server-sdk")],
    },
  };
  const counts = [];
  for (const [entry, { home, not }] of Object.entries(entries)) {
    // Its users have the SDK of their choice; nobody else needs one.
    if (entry === "flagwire/openfeature") {
      symlinkSync(join(root, "node_modules/@openfeature"), join(app, "node_modules/@openfeature"), "junction");
    }
    const loaded = loadedBy(entry.replace("/", "-"), `await import(${JSON.stringify(entry)})`);
    const unwanted = loaded.filter((url) => not.some((part) => url.includes(part)));
    if (!loaded.some((url) => url.includes(folders(home)[0]))) throw new Error(`${entry} did not load ${home}`);
    if (unwanted.length > 0) throw new Error(`importing ${entry} loads ${unwanted.join(", ")}`);
    counts.push(`${entry} ${loaded.length}`);
  }
  const started = loadedBy(
    "test-server",
    `import { openMirror } from "flagwire";
import { startTestServer } from "flagwire/testing";
const server = await startTestServer({ flags: { "new-checkout": true } });
const flags = await openMirror({ address: server.address });
if (!flags.boolean("new-checkout", false)) throw new Error("the test server answers otherwise");
await flags.close();
await server.close();`,
  );
  if (!started.some((url) => url.includes("/flagwire/dist/src/server/"))) throw new Error("no server was started");

  server = spawn(
    "npx",
    ["flagwire", "serve", "--listen", "127.0.0.1:0", "--data", "data", "--import", join(examples, "flags.yaml")],
    { cwd: app, stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  const address = await new Promise((found, failed) => {
    let text = "";
    server.stdout.on("data", (chunk) => {
      text += chunk;
      const match = /127\.0\.0\.1:[1-9]\d*/.exec(text);
      if (match) found(match[0]);
    });
    server.on("exit", (code) => failed(new Error(`the server ended with ${code}: ${text}`)));
  });
  writeFileSync(
    join(app, "mirror.mjs"),
    `import { openMirror } from "flagwire";
const flags = await openMirror({ address: ${JSON.stringify(address)} });
const details = flags.details("new-checkout", false, { targetingKey: "user-1" });
console.log(JSON.stringify({ keys: flags.keys().length, reason: details.reason, error: details.errorCode ?? null }));
await flags.close();`,
  );
  const answer = JSON.parse(run("node", ["mirror.mjs"], { cwd: app, timeout: 30_000 }));
  if (answer.keys === 0 || answer.error !== null) throw new Error(`the mirror answered ${JSON.stringify(answer)}`);
  // The README's example, as it stands but for the port.
  const [, example] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8")) ?? [];
  if (example === undefined) throw new Error("the README has no example");
  writeFileSync(join(app, "try.mjs"), example.replaceAll("127.0.0.1:8013", address));
  const shown = run("node", ["try.mjs"], { cwd: app, timeout: 30_000, stdio: ["ignore", "pipe", "inherit"] });
  if (!/new checkout\? (true|false)[\s\S]*variant: 'pro'/.test(shown))
    throw new Error(`the README's example says ${shown}`);
  // The testing guide's examples, each a test file.
  const guide = readFileSync(join(root, "docs/testing-kit.md"), "utf8");
  const guided = [...guide.matchAll(/```js\n([\s\S]*?)```/g)].map(([, text], index) => {
    const file = `guide-${index + 1}.test.mjs`;
    writeFileSync(join(app, file), text);
    return file;
  });
  if (guided.length === 0) throw new Error("docs/testing-kit.md has no examples");
  run("node", ["--test", ...guided], { cwd: app, timeout: 60_000, stdio: ["ignore", "pipe", "inherit"] });
  console.log(
    `package check: ${packed.files.length} files, ${Math.round(packed.unpackedSize / 1024)} KiB; the mirror holds ${answer.keys} flags; modules loaded, none of them heavy: ${counts.join(", ")}; ${guided.length} examples of docs/testing-kit.md pass`,
  );
} finally {
  if (server?.pid !== undefined && server.exitCode === null) {
    const ended = new Promise((resolved) => server.once("exit", resolved));
    process.kill(-server.pid, "SIGTERM");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}
