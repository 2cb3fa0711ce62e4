import { openMirror } from "../../src/client/index.js";
import { createAccountCallers } from "./callers.js";
import { createWorkloads, type Workload } from "./create-workloads.js";
import { runVerified } from "./run-verified.js";

/** What the process prints: the time of one evaluation of each workload, round by round, in nanoseconds. */
export interface EvaluationRounds {
  readonly contexts: number;
  readonly workloads: readonly {
    readonly name: string;
    readonly isReference: boolean;
    readonly nanoseconds: readonly number[];
  }[];
}

const contexts = 10_000;
const rounds = 4;
const roundMs = 60;
const warmUpPasses = 20;

/** Runs in a process of its own, as an application would: `node evaluate.js ADDRESS`. */
const flags = await openMirror({ address: process.argv[2] ?? "" });
const callers = createAccountCallers(contexts);
const workloads = createWorkloads(flags);

// All of them twice, so that each is measured in code that the others have made general, as in an application.
for (const workload of [...workloads, ...workloads]) runVerified(workload, callers, warmUpPasses);
const passes = workloads.map((workload) => Math.max(1, Math.ceil(roundMs / (timeMs(workload, 20) / 20))));
const nanoseconds = workloads.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [index, workload] of workloads.entries()) {
    const count = passes[index] ?? 1;
    nanoseconds[index]?.push((timeMs(workload, count) * 1e6) / (contexts * count));
  }
}
await flags.close();
const report: EvaluationRounds = {
  contexts,
  workloads: workloads.map(({ name, isReference }, index) => ({
    name,
    isReference,
    nanoseconds: nanoseconds[index] ?? [],
  })),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

/** How long so many passes take. */
function timeMs(workload: Workload, count: number): number {
  const startedAt = performance.now();
  runVerified(workload, callers, count);
  return performance.now() - startedAt;
}
