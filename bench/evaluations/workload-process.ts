import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { startProcess, stopProcess } from "../support/processes.js";
import { openService, type Service } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { workloadFlags } from "./workloads.js";

export interface WorkloadProcess {
  /** A compiled module, relative to `bench/`. It is given the service's address and prints one JSON document. */
  readonly module: string;
  readonly nodeOptions?: readonly string[];
}

/** Runs the process so many times, one after the other, beside a service with the workloads' flags. */
export async function runWorkloadProcess<Printed>(program: WorkloadProcess, times: number): Promise<Printed[]> {
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(workloadFlags));
  await using service = await openService({ data: join(directory.path, "data"), seed });
  const printed: Printed[] = [];
  for (let time = 0; time < times; time++) printed.push(await runOnce<Printed>(program, service));
  return printed;
}

async function runOnce<Printed>({ module, nodeOptions = [] }: WorkloadProcess, { address }: Service): Promise<Printed> {
  const child = startProcess({ module, nodeOptions, args: [address], stdio: ["ignore", "pipe", "inherit"] });
  try {
    const output = child.stdout === null ? "" : await text(child.stdout);
    if (output === "") throw new Error(`${module} failed`);
    return JSON.parse(output) as Printed;
  } finally {
    await stopProcess(child);
  }
}
