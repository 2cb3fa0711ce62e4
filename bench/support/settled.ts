import { setTimeout as delay } from "node:timers/promises";
import { processorTimeMs, processTree, residentBytes } from "./cores.js";

const lookEveryMs = 250;
const quietMs = 750;
/** Of a core. */
const busyShare = 0.3;

/** Resident memory of a process and those that it started, once they use hardly any processor time, in bytes. */
export async function settledBytes(pid: number, timeoutMs = 6_000): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  let quietSince = performance.now();
  let used = sum(pid, processorTimeMs);
  while (performance.now() < deadline && performance.now() - quietSince < quietMs) {
    await delay(lookEveryMs);
    const now = sum(pid, processorTimeMs);
    // Heartbeats go on.
    if (now - used > lookEveryMs * busyShare) quietSince = performance.now();
    used = now;
  }
  return sum(pid, residentBytes);
}

function sum(pid: number, of: (one: number) => number): number {
  return processTree(pid).reduce((total, one) => total + of(one), 0);
}
