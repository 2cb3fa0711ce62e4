import type { Snapshot } from "../../engine/index.js";
import { rememberBetween } from "./remember-between.js";

/** Keys of flags that may answer differently in one snapshot than in another, sorted. */
export interface SnapshotDifference {
  readonly created: readonly string[];
  /** Because they, or something that they use, changed. */
  readonly updated: readonly string[];
  readonly deleted: readonly string[];
}

/**
 * What changed from one snapshot of an environment to a later one, however many lie between. Snapshots share what did not
 * change, so flags are compared by identity.
 */
export const differenceOf = rememberBetween(compare);

function compare(before: Snapshot, after: Snapshot): SnapshotDifference {
  const created: string[] = [];
  const updated: string[] = [];
  const deleted: string[] = [];
  for (const flag of after.flags()) {
    const old = before.flag(flag.key);
    if (old === undefined) created.push(flag.key);
    else if (old !== flag) updated.push(flag.key);
  }
  for (const { key } of before.flags()) if (after.flag(key) === undefined) deleted.push(key);
  return { created, updated, deleted };
}
