import type { Caller } from "./callers.js";
import type { Workload } from "./create-workloads.js";

/** Runs a workload. The answers are counted and checked, so that none can be left out. Throws where they are wrong. */
export function runVerified(workload: Workload, callers: readonly Caller[], passes: number): void {
  const counts = workload.run(callers, passes).map((count) => count / passes);
  if (!workload.check(counts, callers)) throw new Error(`${workload.name}: ${counts} answers a pass cannot be right`);
}
