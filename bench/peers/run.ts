import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { describeMachine } from "../report/machine.js";
import { toMarkdown } from "../report/to-markdown.js";
import { startProcess, stopProcess } from "../support/processes.js";
import { openService } from "../support/service.js";
import { dataRoot, openTempDirectory } from "../support/temp-directory.js";
import { flagFile } from "./flagwire.js";
import type { PeerRounds } from "./peer-rounds.js";
import { toSections } from "./to-sections.js";

const usage = `usage: npm run bench:peers -- [--json]

  --json  one JSON document instead of Markdown
  --help  print this
`;

/** Measures Flagwire's mirror beside other SDKs. Returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) return 2;
  const { json, help } = options;
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  const machine = describeMachine(dataRoot);
  const startedAt = performance.now();
  const sections = toSections(await measurePeers(), await readVersions());
  const command = `npm run bench:peers${args.length > 0 ? ` -- ${args.join(" ")}` : ""}`;
  const report = { command, machine, durationMs: Math.round(performance.now() - startedAt), sections };
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `\n${toMarkdown(report)}`);
  return 0;
}

/** What is wanted; undefined where the arguments are wrong. */
function parseOptions(args: readonly string[]): { readonly json: boolean; readonly help: boolean } | undefined {
  try {
    const options = { json: { type: "boolean", default: false }, help: { type: "boolean", default: false } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return undefined;
  }
}

async function measurePeers(): Promise<PeerRounds> {
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(flagFile));
  await using service = await openService({ data: join(directory.path, "data"), seed });
  // As servers run: some SDKs do more otherwise.
  process.env.NODE_ENV = "production";
  const args = [service.address];
  const child = startProcess({ module: "peers/evaluate.js", args, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const output = child.stdout === null ? "" : await text(child.stdout);
    if (output === "") throw new Error("the evaluations failed");
    return JSON.parse(output) as PeerRounds;
  } finally {
    await stopProcess(child);
  }
}

/** The peers' versions by their names. The package pins them exactly. */
async function readVersions(): Promise<Readonly<Record<string, string>>> {
  // From bench/peers/dist/bench/peers, where this is compiled to.
  const file = await readFile(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { readonly dependencies: Readonly<Record<string, string>> }).dependencies;
}

process.exitCode = await run(process.argv.slice(2));
