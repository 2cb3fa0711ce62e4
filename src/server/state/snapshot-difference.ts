import type { Snapshot } from "../../engine/index.js";

/** Keys of flags that may answer differently in one snapshot than in another, sorted. */
export interface SnapshotDifference {
  readonly created: readonly string[];
  /** Because they, or something that they use, changed. */
  readonly updated: readonly string[];
  readonly deleted: readonly string[];
}

interface Known {
  /** Weak, or a stream that stands still would keep all snapshots since the one that it has. */
  readonly after: WeakRef<Snapshot>;
  readonly difference: SnapshotDifference;
}

/** Streams follow one another through the same snapshots: one comparison serves them all. */
const known = new WeakMap<Snapshot, Known>();

/**
 * What changed from one snapshot of an environment to a later one, however many lie between. Snapshots share what did not
 * change, so flags are compared by identity.
 */
export function differenceOf(before: Snapshot, after: Snapshot): SnapshotDifference {
  const last = known.get(before);
  if (last?.after.deref() === after) return last.difference;
  const difference = compare(before, after);
  known.set(before, { after: new WeakRef(after), difference });
  return difference;
}

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
