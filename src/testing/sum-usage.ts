import type { FlagUsage } from "../client/index.js";

/** Usage with one entry for each flag and variant. */
export function sumUsage(usages: readonly FlagUsage[]): FlagUsage[] {
  const sums = new Map<string, FlagUsage>();
  for (const usage of usages) {
    const id = JSON.stringify([usage.flagKey, usage.variant]);
    const sum = sums.get(id);
    const count = usage.count + (sum?.count ?? 0);
    sums.set(id, { ...usage, count, revision: Math.max(usage.revision, sum?.revision ?? 0) });
  }
  return [...sums.values()];
}
