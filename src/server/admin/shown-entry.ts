import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Change,
  ChangeSchema,
  type HistoryEntry,
  HistoryEntrySchema,
  type Record,
  RecordSchema,
} from "../../../gen/flagwire/v1/history_pb.js";
import { differencesOf } from "./differences.js";
import { shownChange, shownSegment } from "./shown-segment.js";
import type { Steps } from "./steps.js";

/** What of an entry an answer shows. */
export interface ShownPart {
  /** How much of an answer the changes may take. */
  readonly maxBytes: number;
  /** Segments of more are compared by their counts, also where their keys are there: history does not always read them. */
  readonly maxComparedBytes: number;
  /** Whether the caller may know of a change. The others are not counted either. */
  readonly maySee: (change: Change) => boolean;
  /** The changes that come first. */
  readonly isAsked: (change: Change) => boolean;
}

/** So many changes in a row that do not fit, and no other is tried. */
const MAX_MISFITS = 100;

/** An entry with as many of its changes as an answer has room for, and with what is different in each. */
export function* shownEntry(entry: HistoryEntry, part: ShownPart): Steps<HistoryEntry> {
  const { changes, omitted } = yield* shownChanges(entry.changes, part);
  return create(HistoryEntrySchema, { ...entry, changes, omittedChanges: entry.omittedChanges + omitted });
}

/** Changes that are shown, and how many are not. */
export interface ShownChanges {
  readonly changes: Change[];
  readonly omitted: number;
}

/** One change alone may be too large, though segments with many keys are shown without them. */
export function* shownChanges(
  all: readonly Change[],
  { maxBytes, maxComparedBytes, maySee, isAsked }: ShownPart,
): Steps<ShownChanges> {
  const seen = all.filter(maySee);
  const asked = new Set(seen.filter(isAsked));
  const changes: Change[] = [];
  let left = maxBytes;
  let misfits = 0;
  for (const change of [...asked, ...seen.filter((one) => !asked.has(one))]) {
    yield;
    const shown = showWithin(change, left, maxComparedBytes);
    if (shown === undefined) {
      if (++misfits === MAX_MISFITS) break;
      continue;
    }
    misfits = 0;
    left -= shown.sizeBytes;
    changes.push(shown.change);
  }
  return { changes, omitted: seen.length - changes.length };
}

function showWithin(
  change: Change,
  maxBytes: number,
  maxComparedBytes: number,
): { readonly change: Change; readonly sizeBytes: number } | undefined {
  const bare = shownChange(change);
  // What does not fit anyway is not worth comparing.
  if (toBinary(ChangeSchema, bare).length > maxBytes) return undefined;
  const differences = differencesOf(...comparable(change, maxComparedBytes));
  const shown = create(ChangeSchema, { ...bare, differences });
  const sizeBytes = toBinary(ChangeSchema, shown).length;
  return sizeBytes > maxBytes ? undefined : { change: shown, sizeBytes };
}

function comparable({ before, after }: Change, maxBytes: number): [Record | undefined, Record | undefined] {
  return [before && withoutManyKeys(before, maxBytes), after && withoutManyKeys(after, maxBytes)];
}

function withoutManyKeys(record: Record, maxBytes: number): Record {
  if (record.kind.case !== "segment") return record;
  const value = shownSegment(record.kind.value, maxBytes);
  return create(RecordSchema, { kind: { case: "segment", value } });
}
