import { runWorkloadProcess } from "../evaluations/workload-process.js";
import { toMeasure } from "../report/measure.js";
import type { Section } from "../report/section.js";
import type { AllocationRounds } from "./allocate.js";

const processes = 2;
/** Of each half of the young generation: more than a measurement allocates. In MiB. */
const semiSpaceMiB = 256;
const allocated = "allocated by one";

/** Bytes that an evaluation allocates, through a mirror's public methods. */
export async function measureAllocation(): Promise<Section> {
  const nodeOptions = ["--expose-gc", `--max-semi-space-size=${semiSpaceMiB}`, `--min-semi-space-size=${semiSpaceMiB}`];
  const module = "allocation/allocate.js";
  const runs = await runWorkloadProcess<AllocationRounds>({ module, nodeOptions }, processes);
  const [first] = runs;
  if (first === undefined) throw new Error("no process ran");
  const bytesOf = (workload: number): readonly number[] => runs.flatMap((run) => run.workloads[workload]?.bytes ?? []);
  return {
    name: "allocation",
    title: "Memory that an evaluation in a mirror allocates",
    columns: ["workload", allocated],
    rows: first.workloads.map(({ name }, index) => [name, toMeasure("bytes", bytesOf(index))]),
    notes: [
      `How much further the heap grows in ${first.evaluations.toLocaleString("en-US")} more evaluations while nothing is collected, in ${processes} processes, after all workloads have run twice. The first row is what the loop itself allocates; a hash above 2^31 is 16 bytes wherever V8 does not inline what returns it. The workloads are those of the evaluations.`,
    ],
    compared: [{ column: allocated, better: "lower", least: 1 }],
    references: first.workloads.flatMap(({ name, isReference }) => (isReference ? [name] : [])),
  };
}
