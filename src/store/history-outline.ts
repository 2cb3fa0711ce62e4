import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Timestamp, TimestampSchema, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Change,
  ChangeSchema,
  type HistoryEntry,
  HistoryEntrySchema,
  RecordSchema,
} from "../../gen/flagwire/v1/history_pb.js";
import type { RecordKind } from "./record.js";
import type { ChangeOutline, HistoryOutline } from "./store.js";

/** What a change says of itself without its records. */
export function outlineOf({ key, environment, before, after }: Change): ChangeOutline {
  return { kind: (after ?? before)?.kind.case, key, environment, isDeletion: after === undefined };
}

/** The outline of an entry that is decoded already. */
export function outlineOfEntry(entry: HistoryEntry): HistoryOutline {
  return {
    revision: entry.revision,
    timeMs: () => toMs(entry.time),
    changes: () => entry.changes.map(outlineOf),
    entry: () => entry,
  };
}

const TIME_FIELD = HistoryEntrySchema.field.time.number;
const CHANGES_FIELD = HistoryEntrySchema.field.changes.number;
const CHANGE = ChangeSchema.field;
const KINDS = new Map(RecordSchema.fields.map(({ number, localName }) => [number, localName as RecordKind]));

/**
 * The changes of an encoded HistoryEntry. Skips over what is in the records, which may be a million keys: their sizes make
 * no difference. Throws for bytes that are no entry, as far as it looks.
 */
export function* readOutlines(entry: Uint8Array): Generator<ChangeOutline, void, undefined> {
  const reader = new BinaryReader(entry);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === CHANGES_FIELD && wireType === WireType.LengthDelimited) yield readChange(reader);
    else reader.skip(wireType, field);
  }
}

/** The time of an encoded HistoryEntry, which comes before its changes. Throws for bytes that are no entry, as far as it looks. */
export function readTimeMs(entry: Uint8Array): number {
  const reader = new BinaryReader(entry);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === TIME_FIELD && wireType === WireType.LengthDelimited) {
      return toMs(fromBinary(TimestampSchema, reader.bytes()));
    }
    reader.skip(wireType, field);
  }
  return toMs(undefined);
}

function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}

function readChange(reader: BinaryReader): ChangeOutline {
  let key = "";
  let environment = "";
  let before: RecordKind | undefined;
  let after: RecordKind | undefined;
  let isDeletion = true;
  readMessage(reader, (field) => {
    switch (field) {
      case CHANGE.key.number:
        key = reader.string();
        return true;
      case CHANGE.environment.number:
        environment = reader.string();
        return true;
      case CHANGE.before.number:
        before = readKind(reader);
        return true;
      case CHANGE.after.number:
        after = readKind(reader);
        isDeletion = false;
        return true;
      default:
        return false;
    }
  });
  return { kind: isDeletion ? before : after, key, environment, isDeletion };
}

/** Undefined for a record of no kind that this version knows. */
function readKind(reader: BinaryReader): RecordKind | undefined {
  let kind: RecordKind | undefined;
  readMessage(reader, (field) => {
    kind = KINDS.get(field) ?? kind;
    return false;
  });
  return kind;
}

/** Walks the fields of the message that comes next. `read` takes a length-delimited one, or leaves it to be skipped. */
function readMessage(reader: BinaryReader, read: (field: number) => boolean): void {
  const end = reader.uint32() + reader.pos;
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited || !read(field)) reader.skip(wireType, field);
  }
  if (reader.pos !== end) throw new RangeError("a message does not end where it says");
}
