import type { Change, HistoryEntry } from "../../../gen/flagwire/v1/history_pb.js";
import { ENVIRONMENT_ITEM_ID, flagItemId, type RetainedChange, segmentItemId } from "../../watch/index.js";
import { touchedItems } from "./watch-items.js";

/** What an environment's watchers can resume from after a restart. See WatchHub.prime. */
export interface RetainedPast {
  readonly floor: bigint;
  /** Oldest first. */
  readonly changes: readonly RetainedChange[];
}

/** How many transactions are read at most. */
const MAX_ENTRIES = 1_000;
/** How many records and keys of segments are read at most: an import or a large segment counts for what it takes to decode. */
const MAX_WEIGHT = 200_000;

/**
 * What each environment's last revisions changed, from history, newest first, up to the head. Holds one entry at a time: a
 * server with large history must start like any other.
 */
export async function readPast(
  history: AsyncIterable<HistoryEntry>,
  head: bigint,
  environments: Iterable<string>,
): Promise<ReadonlyMap<string, RetainedPast>> {
  const open = new Map<string, RetainedChange[]>([...environments].map((name) => [name, []]));
  const past = new Map<string, RetainedPast>();
  const close = (name: string, floor: bigint) => {
    past.set(name, { floor, changes: (open.get(name) ?? []).reverse() });
    open.delete(name);
  };
  let floor = head;
  let entries = 0;
  let weight = 0;
  for await (const entry of history) {
    if (entry.revision > head) continue;
    // What was read of the state may be newer than what history tells yet: with a gap nothing can be resumed.
    if (entry.revision !== head - BigInt(entries)) break;
    weight += entry.changes.reduce((sum, change) => sum + weightOf(change), 0);
    if (entries++ === MAX_ENTRIES || weight > MAX_WEIGHT) break;
    floor = entry.revision - 1n;
    const touched = touchedItems(entry.changes);
    for (const [name, changes] of open) {
      // It cannot be resumed from before it was created: it may have been another one of the same name.
      if (createdIn(entry, name)) {
        close(name, entry.revision);
        continue;
      }
      const ids = [
        ...(touched.isEnvironment(name) ? [ENVIRONMENT_ITEM_ID] : []),
        ...[...touched.flagsOf(name)].map(flagItemId),
        ...[...touched.segmentsOf(name)].map(segmentItemId),
      ];
      if (ids.length > 0) changes.push({ revision: entry.revision, ids });
    }
    if (open.size === 0) break;
  }
  for (const name of [...open.keys()]) close(name, floor);
  return past;
}

function weightOf({ before, after }: Change): number {
  let weight = 1;
  for (const record of [before, after]) {
    if (record?.kind.case === "segment")
      weight += record.kind.value.included.length + record.kind.value.excluded.length;
  }
  return weight;
}

function createdIn({ changes }: HistoryEntry, environment: string): boolean {
  return changes.some(
    ({ before, after }) =>
      before === undefined && after?.kind.case === "environment" && after.kind.value.name === environment,
  );
}
