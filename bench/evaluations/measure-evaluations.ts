import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { startProcess, stopProcess } from "../support/processes.js";
import { openService } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import type { EvaluationRounds } from "./evaluate.js";
import { workloadFlags } from "./workloads.js";

/** Which workload the others are compared with. */
const reference = 1;

/** Evaluations per second through a mirror's public methods. */
export async function measureEvaluations(): Promise<Section> {
  const { contexts, workloads } = await runWorkloads();
  const references = workloads[reference]?.perSecond ?? [];
  return {
    name: "evaluations",
    title: "Evaluations in a mirror, on one thread",
    columns: ["workload", "a second", "time of one", "time, as murmur3s"],
    rows: workloads.map(({ name, perSecond }) => [
      name,
      toMeasure("per-second", perSecond),
      toMeasure(
        "nanoseconds",
        perSecond.map((rate) => 1e9 / rate),
      ),
      toRatio(references, perSecond),
    ]),
    notes: [
      `\`flags.boolean\` or \`flags.string\` for ${contexts.toLocaleString("en-US")} distinct contexts of 7 attributes, in turn; all workloads share one process and mirror, in interleaved rounds.`,
      "Every answer is counted and the counts are compared with the same rules in plain code, or with the rollout's shares. Half of the contexts match none of the ten `in` rules, three in five none of the ten operators.",
    ],
  };
}

async function runWorkloads(): Promise<EvaluationRounds> {
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(workloadFlags));
  await using service = await openService({ data: join(directory.path, "data"), seed });
  const args = [service.address];
  const child = startProcess({ module: "evaluations/evaluate.js", args, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const output = child.stdout === null ? "" : await text(child.stdout);
    if (output === "") throw new Error("the evaluations failed");
    return JSON.parse(output) as EvaluationRounds;
  } finally {
    await stopProcess(child);
  }
}
