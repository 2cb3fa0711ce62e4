import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Change, HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { ChangeSchema, HistoryEntrySchema, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { changedId, outlinedId } from "./commit-plan.js";
import { type EncodedKey, encodeKey, forgetKeys, MAX_TRIMMED_PER_COMMIT, putKey } from "./idempotency-keys.js";
import { toRevisionKey, toTextKey } from "./keys.js";
import type { RecordId } from "./record.js";
import type { HistoryEdges, Idempotency } from "./store.js";
import { decodeOutlines, META, putMeta, type StoreData } from "./store-data.js";
import type { Tables } from "./tables.js";

/** How much history is kept. The newest transaction is kept whatever its size. */
export interface HistoryBounds {
  /**
   * How many transactions. Default 100,000: weeks of edits, and far more than a mirror misses while it is away. Idempotency
   * keys are kept of as many, whatever the size of those transactions: a few large ones must not make a retry count twice;
   * and of as many writes that changed nothing.
   */
  readonly maxEntries: number;
  /** The size of history, in bytes. Default 256 MiB: so that imports of large files do not fill a disk. */
  readonly maxBytes: number;
}

/** A commit in its stored form: all that may throw has been done. */
export interface EncodedCommit {
  readonly entry: HistoryEntry;
  readonly entryBytes: Uint8Array;
  /** Undefined: deleted. */
  readonly records: ReadonlyMap<RecordId, Uint8Array | undefined>;
  readonly idempotency: EncodedKey | undefined;
  /** Size of all that will be put, in bytes. */
  readonly sizeBytes: number;
}

/** `stored` gives the records of before as they are kept: each record is encoded once in its life. */
export function encodeCommit(
  entry: HistoryEntry,
  idempotency: Idempotency | undefined,
  stored: (id: RecordId) => Uint8Array | undefined,
): EncodedCommit {
  const { changes, revision } = entry;
  const records = new Map<RecordId, Uint8Array | undefined>();
  const entryWriter = new BinaryWriter();
  entryWriter.raw(toBinary(HistoryEntrySchema, create(HistoryEntrySchema, { ...entry, changes: [] })));
  let sizeBytes = 0;
  for (const change of changes) {
    const id = changedId(change);
    const bytes = change.after && toBinary(RecordSchema, change.after);
    const before = change.before && id !== undefined ? stored(id) : undefined;
    entryWriter.tag(CHANGES_FIELD, WireType.LengthDelimited).bytes(encodeChange(change, before, bytes));
    if (id === undefined) continue;
    records.set(id, bytes);
    sizeBytes += bytes?.length ?? 0;
  }
  const entryBytes = entryWriter.finish();
  sizeBytes += entryBytes.length;
  const encodedKey = idempotency && encodeKey({ ...idempotency, revision });
  return { entry, entryBytes, records, idempotency: encodedKey, sizeBytes };
}

const CHANGES_FIELD = HistoryEntrySchema.field.changes.number;
const BEFORE_FIELD = ChangeSchema.field.before.number;
const AFTER_FIELD = ChangeSchema.field.after.number;

/** A message's fields may be written one after the other. */
function encodeChange(change: Change, before: Uint8Array | undefined, after: Uint8Array | undefined): Uint8Array {
  const { key, environment } = change;
  const writer = new BinaryWriter().raw(toBinary(ChangeSchema, create(ChangeSchema, { key, environment })));
  if (before !== undefined) writer.tag(BEFORE_FIELD, WireType.LengthDelimited).bytes(before);
  if (after !== undefined) writer.tag(AFTER_FIELD, WireType.LengthDelimited).bytes(after);
  return writer.finish();
}

/** Puts a commit and trims history, within a transaction. Gives the edges of history after it. */
export function writeCommit(data: StoreData, commit: EncodedCommit, bounds: HistoryBounds): HistoryEdges {
  const { tables } = data;
  const newest = commit.entry.revision;
  const historyBytes = data.historyBytes + commit.entryBytes.length;
  const trim = planTrim(data, newest, historyBytes, bounds);
  const key = toRevisionKey(newest);
  for (const [id, bytes] of commit.records) {
    const idKey = toTextKey(id);
    if (bytes) {
      tables.records.put(idKey, bytes);
      tables.deletions.remove(idKey);
    } else {
      tables.records.remove(idKey);
      tables.deletions.put(idKey, key);
    }
  }
  tables.history.put(key, commit.entryBytes);
  if (commit.idempotency) putKey(tables, newest, commit.idempotency);
  for (const entry of trim.entries) forget(tables, entry);
  forgetKeys(data, newest, bounds.maxEntries);
  putMeta(tables, META.head, newest);
  putMeta(tables, META.oldest, trim.oldest);
  putMeta(tables, META.historyBytes, trim.historyBytes);
  return { oldest: trim.oldest, newest };
}

/** An entry that is to go. */
interface TrimmedEntry {
  readonly revision: bigint;
  /** What it deleted. */
  readonly deleted: readonly RecordId[];
}

interface Trim {
  readonly entries: readonly TrimmedEntry[];
  readonly oldest: bigint;
  readonly historyBytes: number;
}

/** Which entries are to go so that history is within its bounds with `newest`, which is yet to be put. */
function planTrim(data: StoreData, newest: bigint, sizeBytes: number, bounds: HistoryBounds): Trim {
  const entries: TrimmedEntry[] = [];
  let { oldest } = data.edges;
  let historyBytes = sizeBytes;
  while (oldest < newest && entries.length < MAX_TRIMMED_PER_COMMIT) {
    if (newest - oldest < BigInt(bounds.maxEntries) && historyBytes <= bounds.maxBytes) break;
    const bytes = data.entryBytes(oldest);
    if (!bytes) throw new Error(`history entry ${oldest} is missing`);
    entries.push({ revision: oldest, deleted: deletedBy(oldest, bytes) });
    historyBytes -= bytes.length;
    oldest++;
  }
  return { entries, oldest, historyBytes };
}

/** In outline: decoding a large segment would keep everybody waiting, within whichever commit trims it. */
function deletedBy(revision: bigint, entryBytes: Uint8Array): RecordId[] {
  const deletions = decodeOutlines(revision, entryBytes).filter(({ isDeletion }) => isDeletion);
  return deletions.flatMap((change) => outlinedId(change) ?? []);
}

function forget({ history, deletions }: Tables, { revision, deleted }: TrimmedEntry): void {
  const key = toRevisionKey(revision);
  history.remove(key);
  for (const id of deleted) {
    const idKey = toTextKey(id);
    const deletedAt = deletions.get(idKey);
    if (deletedAt && Buffer.compare(deletedAt, key) === 0) deletions.remove(idKey);
  }
}
