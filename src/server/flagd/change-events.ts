import type { JsonObject } from "@bufbuild/protobuf";
import type { Snapshot } from "../../engine/index.js";
import { differenceOf } from "../state/snapshot-difference.js";
import type { Snapshots } from "./followed-snapshots.js";
import { StreamEvent } from "./stream-event.js";

/** Flags of one event: with the longest keys it has less than 1 MiB, and clients take 4. */
const MAX_FLAGS = 5_000;

/** What happened to a flag, in flagd's words: `write` where it is new. */
export type ChangeType = "write" | "update" | "delete";

interface Known {
  /** Weak, lest a stream that stands still keeps all that came after what it saw. */
  readonly after: WeakRef<Snapshots>;
  readonly events: readonly StreamEvent[];
}

/** Streams follow one another through the same snapshots: one comparison, and one encoding, serves them all. */
const known = new WeakMap<Snapshots, Known>();

/**
 * The events that tell of every flag that may answer differently after than before, in any environment that is followed; none
 * if there is no such flag.
 */
export function changeEvents(before: Snapshots, after: Snapshots): readonly StreamEvent[] {
  const last = known.get(before);
  if (last?.after.deref() === after) return last.events;
  const changes = changedKeys(before, after).map((key) => [key, changeType(key, before, after)] as const);
  const events = configurationChanges(new Map(changes));
  known.set(before, { after: new WeakRef(after), events });
  return events;
}

function changedKeys(before: Snapshots, after: Snapshots): string[] {
  const keys = new Set<string>();
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    for (const key of changedIn(before.get(name), after.get(name))) keys.add(key);
  }
  return [...keys].sort();
}

function changedIn(before: Snapshot | undefined, after: Snapshot | undefined): readonly string[] {
  // Most revisions are of other environments, and leave everything as it was.
  if (before?.digest === after?.digest) return [];
  if (before === undefined || after === undefined) {
    return (before ?? after)?.flags().map(({ key }) => key) ?? [];
  }
  const { created, updated, deleted } = differenceOf(before, after);
  return [...created, ...updated, ...deleted];
}

/** Events that name these flags, each no larger than clients take. */
export function configurationChanges(changes: ReadonlyMap<string, ChangeType>): readonly StreamEvent[] {
  const entries = [...changes].map(([key, type]): [string, JsonObject] => [key, { type }]);
  const events: StreamEvent[] = [];
  for (let start = 0; start < entries.length; start += MAX_FLAGS) {
    const flags = Object.fromEntries(entries.slice(start, start + MAX_FLAGS));
    events.push(new StreamEvent("configuration_change", { flags }));
  }
  return events;
}

/** Flags are shared by the environments: one is new only where none of them had it. */
function changeType(key: string, before: Snapshots, after: Snapshots): ChangeType {
  if (!holds(after, key)) return "delete";
  return holds(before, key) ? "update" : "write";
}

function holds(snapshots: Snapshots, key: string): boolean {
  for (const snapshot of snapshots.values()) if (snapshot.flag(key) !== undefined) return true;
  return false;
}
