import { toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { bareHash } from "./create-workloads.js";
import type { EvaluationRounds } from "./evaluate.js";
import { runWorkloadProcess } from "./workload-process.js";

const processes = 3;
const inHashes = "time, as murmur3s";

/** Evaluations per second through a mirror's public methods. */
export async function measureEvaluations(): Promise<Section> {
  const runs = await runWorkloadProcess<EvaluationRounds>({ module: "evaluations/evaluate.js" }, processes);
  const { contexts, workloads } = joined(runs);
  const hashes = workloads.find(({ name }) => name === bareHash)?.nanoseconds ?? [];
  return {
    name: "evaluations",
    title: "Evaluations in a mirror, on one thread",
    columns: ["workload", "a second", "time of one", inHashes],
    rows: workloads.map(({ name, nanoseconds }) => [
      name,
      toMeasure(
        "per-second",
        nanoseconds.map((time) => 1e9 / time),
      ),
      toMeasure("nanoseconds", nanoseconds),
      toRatio(nanoseconds, hashes),
    ]),
    notes: [
      `\`flags.boolean\`, or what the row says, for ${contexts.toLocaleString("en-US")} distinct contexts of 8 attributes, in turn; all workloads share one process and mirror, in interleaved rounds. The rounds are of ${processes} processes, one after the other: each compiles anew.`,
      "Every answer is counted and the counts are compared with the same rules in plain code, or with the rollout's shares. Half of the contexts match none of the ten `in` rules, three in five none of the ten operators, all but one in 55 none of the ten texts.",
    ],
    // Less than that is a loop and a look-up, which differ by as much from process to process.
    compared: [{ column: inHashes, better: "lower", least: 0.2 }],
    references: workloads.flatMap(({ name, isReference }) => (isReference ? [name] : [])),
  };
}

/** The rounds of all processes, one after the other. */
function joined(runs: readonly EvaluationRounds[]): EvaluationRounds {
  const [first] = runs;
  if (first === undefined) throw new Error("no process ran");
  const workloads = first.workloads.map((workload, index) => ({
    ...workload,
    nanoseconds: runs.flatMap((run) => run.workloads[index]?.nanoseconds ?? []),
  }));
  return { ...first, workloads };
}
