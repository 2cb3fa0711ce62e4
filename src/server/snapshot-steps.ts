import type { CompiledFlag, Snapshot } from "../engine/index.js";
import { rememberBetween } from "./state/remember-between.js";

/** What a stream that was told all answers of one snapshot has to look at in another. Places are those in `flags()`. */
export interface SnapshotSteps {
  /** Places whose flag may answer differently than before: a new one, one compiled anew, one whose answer depends on the time. */
  readonly due: readonly number[];
  /** Where the flag of each place was before, -1 for a new one. Undefined: all are where they were. */
  readonly origins: Int32Array | undefined;
  /** Keys of flags that are gone, sorted. */
  readonly removed: readonly string[];
}

/** From a snapshot of an environment to a later one, or to itself: then only the time is another. */
export const stepsBetween = rememberBetween(
  (before: Snapshot, after: Snapshot): SnapshotSteps => compare(before.flags(), after.flags()),
);

/** Both are sorted by key, so one walk through them finds all. */
function compare(before: readonly CompiledFlag[], after: readonly CompiledFlag[]): SnapshotSteps {
  const due: number[] = [];
  const removed: string[] = [];
  const origins = new Int32Array(after.length);
  let isMoved = before.length !== after.length;
  let at = 0;
  for (const [place, flag] of after.entries()) {
    let old = before[at];
    for (; old !== undefined && old.key < flag.key; old = before[++at]) removed.push(old.key);
    const isKnown = old?.key === flag.key;
    if (old !== flag || flag.usesNow) due.push(place);
    origins[place] = isKnown ? at++ : -1;
    if (origins[place] !== place) isMoved = true;
  }
  for (const { key } of before.slice(at)) removed.push(key);
  return { due, origins: isMoved ? origins : undefined, removed };
}
