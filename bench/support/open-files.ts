import { readFileSync } from "node:fs";

/** How many files and sockets a process of ours may have open; unlimited where the system does not tell. */
export function openFilesLimit(): number {
  try {
    // Node raises its soft limit to the hard one when it starts.
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
