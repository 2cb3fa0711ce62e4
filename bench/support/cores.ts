import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

/** Which cores a figure "on one core" uses: one for the server, the others for its clients. */
export interface CorePlan {
  readonly server: readonly number[];
  readonly clients: readonly number[];
}

/** Undefined where processes cannot be pinned, or there is one core only. */
export function planCores(): CorePlan | undefined {
  const cores = allowedCores();
  const last = cores.at(-1);
  if (last === undefined || cores.length < 2 || spawnSync("taskset", ["--version"]).status !== 0) return undefined;
  return { server: [last], clients: cores.slice(0, -1) };
}

/** The command, pinned to cores. Replaces itself by the program, so that the process id is the program's. */
export function commandOnCores(command: readonly string[], cores: readonly number[] | undefined): readonly string[] {
  return cores === undefined ? command : ["taskset", "-c", cores.join(","), ...command];
}

function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readIfThere("/proc/self/status"))?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split("-").map(Number);
    return Number.isNaN(from) ? [] : Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

/** Processor time that a process and its threads have used, in milliseconds; NaN where the system does not tell. */
export function processorTimeMs(pid: number): number {
  // The second field is the program's name, which may hold anything. Ticks are 10 ms on every Linux that Node runs on.
  const fields = readIfThere(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) * 10;
}

/** Resident memory of a process, in bytes; NaN where the system does not tell. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1] ?? Number.NaN) * 1024;
}

/** The most resident memory that a process had since `forgetPeak`, or its start, in bytes; NaN where the system does not tell. */
export function peakBytes(pid: number): number {
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1] ?? Number.NaN) * 1024;
}

/** See proc(5), `clear_refs`. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // The peak is then that since its start, which is no less.
  }
}

/** A process, its children, theirs and so on; only itself where the system does not tell. */
export function processTree(pid: number): number[] {
  const children = readIfThere(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => processTree(Number(child))))];
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
