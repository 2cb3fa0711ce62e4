import { parentPort, workerData } from "node:worker_threads";
import { tellViolation } from "../history-checker/index.js";
import { simulate } from "./simulation.js";

/** Runs every `stride`-th seed for as long as the parent lets it. */
const { from, stride, until } = workerData as { from: number; stride: number; until: number };

for (let seed = from; seed < until; seed += stride) {
  const { violations, counts } = await simulate(seed);
  parentPort?.postMessage({ seed, violations: violations.map(tellViolation), counts: [...counts] });
}
parentPort?.postMessage("done");
