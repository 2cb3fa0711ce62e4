import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Chance } from "./chance.js";
import { killMirrors } from "./kill-mirror.js";
import { killServer } from "./kill-server.js";
import { killWorkers } from "./kill-workers.js";
import type { Programs } from "./programs.js";
import { openRun, type Run } from "./run.js";
import { spoilConnections } from "./spoil-connections.js";

// One scenario after the other, each on a server of its own, until the time is over. `--only NAME` keeps to one of them.
const options = parseOptions(process.argv.slice(2));
if (typeof options === "string") {
  console.error(`${options}\n\nnpm run soak:processes -- [--seconds S] [--seed N] [--only NAME]`);
  process.exit(2);
}
const { seconds, seed, only } = options;
const chance = new Chance(seed);
// In dist/, as `npm run soak:processes` compiles it.
const compiled = (path: string): readonly string[] => [process.execPath, resolve(import.meta.dirname, path)];
const programs: Programs = {
  flagwire: compiled("../../src/cli/main.js"),
  mirror: compiled("children/mirror.js"),
  remove: async () => {},
};

interface Scenario {
  readonly workers?: number;
  readonly play: (run: Run) => Promise<unknown>;
}

const scenarios: Readonly<Record<string, Scenario>> = {
  "kill-server": { play: (run) => killServer(run, 20) },
  "kill-mirrors": {
    async play(run) {
      const { complaints } = await killMirrors(run, await run.proxy(), 30);
      if (complaints.length > 0) throw new Error(complaints.join("\n"));
    },
  },
  "spoil-connections": {
    async play(run) {
      const proxy = await run.proxy();
      const impatient = { backoff: { minMs: 20, maxMs: 500 }, staleAfterMs: 2_500, firstMessageTimeoutMs: 2_000 };
      await run.mirror({ ...impatient, address: proxy.address });
      run.load({ port: proxy.port });
      await spoilConnections(proxy, run.chance, 40);
    },
  },
  "kill-workers": { workers: 3, play: (run) => killWorkers(run, 20) },
};

const deadline = performance.now() + seconds * 1000;
console.log(`soak: seed ${seed}, ${seconds} s`);
const names = Object.keys(scenarios).filter((name) => only === undefined || name === only);
if (names.length === 0) {
  console.error(`--only is one of ${Object.keys(scenarios).join(", ")}`);
  process.exit(2);
}
for (let turn = 0; performance.now() < deadline; turn++) {
  const name = names[turn % names.length] ?? "";
  const scenario = scenarios[name];
  if (scenario === undefined) break;
  const { workers } = scenario;
  const setting = { writeTimeoutMs: 2_000, silenceMs: name === "spoil-connections" ? 2_500 : 30_000 };
  await using run = await openRun({
    name,
    programs,
    seed: chance.between(0, 2 ** 31),
    setting,
    ...(workers !== undefined && { serve: ["--workers", String(workers)], isOneProcess: false }),
  });
  await run.mirror({ backoff: { minMs: 20, maxMs: 500 } });
  run.load();
  await scenario.play(run);
  const { violations } = await run.finish();
  for (const violation of violations) console.error(`  ${violation}`);
  if (violations.length > 0) {
    const same = `--seed ${seed} --seconds ${seconds}${only === undefined ? "" : ` --only ${only}`}`;
    console.error(`replay: npm run soak:processes -- ${same}`);
    process.exitCode = 1;
    break;
  }
}
process.exit();

/** The options, or what is wrong with them. */
function parseOptions(args: string[]): string | { seconds: number; seed: number; only: string | undefined } {
  const option = { type: "string" } as const;
  try {
    const { values } = parseArgs({ args, options: { seconds: option, seed: option, only: option } });
    const seconds = Number(values.seconds ?? 300);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!(seconds > 0) || !Number.isSafeInteger(seed)) return "--seconds and --seed are numbers";
    return { seconds, seed, only: values.only };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
