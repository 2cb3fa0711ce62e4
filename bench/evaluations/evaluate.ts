import { openMirror } from "../../src/client/index.js";
import { createCallers } from "./callers.js";
import { createWorkloads, type Workload } from "./workloads.js";

/** What the process prints: evaluations per second of each workload, round by round. */
export interface EvaluationRounds {
  readonly contexts: number;
  readonly workloads: readonly { readonly name: string; readonly perSecond: readonly number[] }[];
}

const contexts = 10_000;
const rounds = 9;
const roundMs = 100;
const warmUpPasses = 20;

/** Runs in a process of its own, as an application would: `node evaluate.js ADDRESS`. */
const flags = await openMirror({ address: process.argv[2] ?? "" });
const callers = createCallers(contexts);
const workloads = createWorkloads(flags);

// All of them twice, so that each is measured in code that the others have made general, as in an application.
for (const workload of [...workloads, ...workloads])
  verify(workload, workload.run(callers, warmUpPasses), warmUpPasses);
const passes = workloads.map((workload) => Math.max(1, Math.ceil(roundMs / (time(workload, 20) / 20))));
const perSecond = workloads.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [index, workload] of workloads.entries()) {
    const count = passes[index] ?? 1;
    perSecond[index]?.push((contexts * count * 1000) / time(workload, count));
  }
}
await flags.close();
const report: EvaluationRounds = {
  contexts,
  workloads: workloads.map(({ name }, index) => ({ name, perSecond: perSecond[index] ?? [] })),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

/** How long so many passes take, in milliseconds. The answers are counted and checked, so that none can be left out. */
function time(workload: Workload, count: number): number {
  const startedAt = performance.now();
  const counts = workload.run(callers, count);
  const elapsedMs = performance.now() - startedAt;
  verify(workload, counts, count);
  return elapsedMs;
}

function verify(workload: Workload, counts: readonly number[], count: number): void {
  const perPass = counts.map((value) => value / count);
  const expected = workload.expected?.(callers);
  const isRight = expected ? perPass.join() === expected.join() : workload.check?.(perPass, callers);
  if (!isRight) throw new Error(`${workload.name}: ${perPass} answers a pass, expected ${expected ?? "other shares"}`);
}
