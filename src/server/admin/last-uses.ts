import type { UsageLedger, UsagePlace } from "../usage/usage-ledger.js";

/** When the flags of an environment were last evaluated, as far as reports tell. Times are in milliseconds since 1970. */
export interface LastUses {
  /** By the flag's key. */
  readonly lastMs: ReadonlyMap<string, number>;
  /** Since when reports are counted; undefined where none came: nobody may report at all. */
  readonly sinceMs: number | undefined;
}

const PAGE_SIZE = 5_000;

/** Reads all that a ledger knows of an environment, a page at a time. */
export async function readLastUses(usage: UsageLedger, environment: string): Promise<LastUses> {
  const lastMs = new Map<string, number>();
  let after: UsagePlace | undefined;
  for (;;) {
    const page = await usage.list({ environment, flagKey: undefined, after, limit: PAGE_SIZE });
    for (const { flagKey, lastUsedMs } of page.usages) {
      lastMs.set(flagKey, Math.max(lastMs.get(flagKey) ?? lastUsedMs, lastUsedMs));
    }
    after = page.usages.at(-1);
    if (after !== undefined && page.usages.length === PAGE_SIZE) continue;
    const isReported = lastMs.size > 0 || page.reporters.length > 0;
    return { lastMs, sinceMs: isReported ? page.sinceMs : undefined };
  }
}
