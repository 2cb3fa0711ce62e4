import { Worker } from "node:worker_threads";
import { simulate } from "./simulation.js";
import { parseSoakOptions, SOAK_USAGE, type SoakOptions } from "./soak-options.js";

/** What a soak has come to. */
interface Totals {
  runs: number;
  /** Seeds that failed. */
  readonly failed: number[];
  readonly counts: Map<string, number>;
}

interface RunMessage {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly counts: readonly (readonly [string, number])[];
}

const PROGRESS_MS = 5_000;

/** Returns the exit code: 0 all held, 1 something did not, 2 wrong usage. */
export async function runSoak(args: readonly string[], print: (text: string) => void): Promise<number> {
  const options = parseSoakOptions(args);
  if (typeof options === "string") {
    print(`${options}\n\n${SOAK_USAGE}`);
    return 2;
  }
  return options.seed === undefined ? soak(options, print) : replay(options.seed, print);
}

/** Tells the story of one run. */
async function replay(seed: number, print: (text: string) => void): Promise<number> {
  const { violations } = await simulate(seed, print);
  print(`seed ${seed}: ${violations.length} violations`);
  return violations.length === 0 ? 0 : 1;
}

async function soak(options: SoakOptions, print: (text: string) => void): Promise<number> {
  const { from, seeds, seconds, workers } = options;
  const startedMs = performance.now();
  const totals: Totals = { runs: 0, failed: [], counts: new Map() };
  const passedS = (): string => ((performance.now() - startedMs) / 1_000).toFixed(0);
  print(`from seed ${from}, ${workers} workers, ${seeds === undefined ? `${seconds} s` : `${seeds} seeds`}`);
  const progress = setInterval(() => print(`${passedS()} s: ${tellTotals(totals)}`), PROGRESS_MS);
  const until = seeds === undefined ? Number.MAX_SAFE_INTEGER : from + seeds;
  const running = Array.from({ length: workers }, (_, index) => {
    return runWorker({ from: from + index, stride: workers, until }, seconds, (run) => add(totals, run, print));
  });
  await Promise.all(running).finally(() => clearInterval(progress));
  for (const [name, count] of [...totals.counts].sort(([a], [b]) => (a < b ? -1 : 1))) print(`  ${name}: ${count}`);
  print(`${passedS()} s: ${tellTotals(totals)}`);
  return totals.failed.length === 0 ? 0 : 1;
}

function runWorker(
  workerData: { readonly from: number; readonly stride: number; readonly until: number },
  seconds: number | undefined,
  ran: (run: RunMessage) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./soak-worker.js", import.meta.url), { workerData });
    const timer = seconds === undefined ? undefined : setTimeout(() => void worker.terminate(), seconds * 1_000);
    worker.on("message", (message: RunMessage | "done") => {
      if (message !== "done") ran(message);
    });
    worker.on("error", reject);
    worker.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function add(totals: Totals, { seed, violations, counts }: RunMessage, print: (text: string) => void): void {
  totals.runs++;
  for (const [name, count] of counts) totals.counts.set(name, (totals.counts.get(name) ?? 0) + count);
  if (violations.length === 0) return;
  totals.failed.push(seed);
  print(`seed ${seed}: ${violations.length} violations; replay it with: npm run soak -- --seed ${seed}`);
  for (const violation of violations.slice(0, 5)) print(`  ${violation}`);
}

function tellTotals({ runs, failed, counts }: Totals): string {
  const count = (name: string): number => counts.get(name) ?? 0;
  const restarts = count("crash server") + count("stop server") + count("crash worker") + count("stop worker");
  return `${runs} runs, ${count("writes")} writes, ${count("messages")} messages, ${restarts} restarts, ${failed.length} runs with violations`;
}
