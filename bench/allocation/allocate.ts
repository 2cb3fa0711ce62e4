import { PerformanceObserver } from "node:perf_hooks";
import { openMirror } from "../../src/client/index.js";
import { createAccountCallers } from "../evaluations/callers.js";
import { createWorkloads, type Workload } from "../evaluations/create-workloads.js";
import { runVerified } from "../evaluations/run-verified.js";

/** What the process prints: the bytes that one evaluation of each workload allocates, round by round. */
export interface AllocationRounds {
  readonly evaluations: number;
  readonly workloads: readonly {
    readonly name: string;
    readonly isReference: boolean;
    readonly bytes: readonly number[];
  }[];
}

const contexts = 10_000;
const passes = 25;
const fewPasses = 5;
const rounds = 3;
const warmUpPasses = 30;
const attempts = 5;

/** `node --expose-gc --max-semi-space-size=… --min-semi-space-size=… allocate.js ADDRESS`: see `growthOf`. */
let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

const flags = await openMirror({ address: process.argv[2] ?? "" });
const callers = createAccountCallers(contexts);
const workloads = createWorkloads(flags);
for (const workload of [...workloads, ...workloads]) runVerified(workload, callers, warmUpPasses);
const bytes = workloads.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [index, workload] of workloads.entries()) bytes[index]?.push(await bytesOf(workload));
}
await flags.close();
const report: AllocationRounds = {
  evaluations: contexts * passes,
  workloads: workloads.map(({ name, isReference }, index) => ({ name, isReference, bytes: bytes[index] ?? [] })),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

/**
 * By how much more the heap grows in many passes than in few, for each evaluation: what starting a loop costs, in code that
 * is not yet compiled, is in both.
 */
async function bytesOf(workload: Workload): Promise<number> {
  const few = await growthOf(workload, fewPasses);
  return ((await growthOf(workload, fewPasses + passes)) - few) / (contexts * passes);
}

/**
 * By how much the heap grows, in bytes. Nothing is collected meanwhile, because the young generation is larger than all that
 * is allocated; where something was all the same, the measurement is void and made again.
 */
async function growthOf(workload: Workload, count: number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    globalThis.gc?.();
    // The collector may have dropped compiled code that was not used for long: have it compiled before it counts.
    runVerified(workload, callers, fewPasses);
    await untilObserved();
    const collectionsBefore = collections;
    const before = process.memoryUsage().heapUsed;
    runVerified(workload, callers, count);
    const grown = process.memoryUsage().heapUsed - before;
    await untilObserved();
    if (collections === collectionsBefore) return grown;
  }
  throw new Error(`${workload.name}: garbage was collected in each of ${attempts} measurements`);
}

/** Collections are told to observers in a turn of their own. */
async function untilObserved(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
