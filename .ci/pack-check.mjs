// Packs the package, installs it into an empty folder, and uses it there as its users do.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

  // Which modules does importing the client load?
  writeFileSync(
    join(app, "hook.mjs"),
    `import { register } from "node:module";
register("data:text/javascript," + encodeURIComponent(\`
  import { appendFileSync } from "node:fs";
  export async function load(url, context, next) { appendFileSync("loaded.txt", url + "\\\\n"); return next(url, context); }
\`));`,
  );
  run(
    "node",
    ["--import", "./hook.mjs", "--input-type=module", "-e", "await import('flagwire'); await import('flagwire/gen')"],
    { cwd: app },
  );
  const loaded = run("cat", ["loaded.txt"], { cwd: app }).split("\n");
  const heavy = loaded.filter((url) =>
    /\/node_modules\/(lmdb|@grpc\/grpc-js|pino|commander|yaml)\/|\/flagwire\/dist\/src\/(server|store|watch|cli)\//.test(
      url,
    ),
  );
  if (!loaded.some((url) => url.includes("/flagwire/dist/src/client/"))) throw new Error("the client was not loaded");
  if (heavy.length > 0) throw new Error(`importing flagwire loads ${heavy.join(", ")}`);

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
  console.log(
    `package check: ${packed.files.length} files, ${Math.round(packed.unpackedSize / 1024)} KiB; the mirror holds ${answer.keys} flags; the client loads ${loaded.length - 1} modules, none of them heavy`,
  );
} finally {
  if (server?.pid !== undefined && server.exitCode === null) {
    const ended = new Promise((resolved) => server.once("exit", resolved));
    process.kill(-server.pid, "SIGTERM");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}
