import { resolve } from "node:path";
import type { HistoryEntry, Record } from "../../gen/flagwire/v1/history_pb.js";
import { fromRevisionKey, fromTextKey, toRevisionKey } from "./keys.js";
import { openLmdbTables } from "./lmdb-tables.js";
import { readBatches } from "./read-batches.js";
import type { IdempotentWrite } from "./store.js";
import { decodeHistoryEntry, decodeIdempotentWrite, decodeRecord, META, StoreData } from "./store-data.js";
import { isStoreProblem, messageOf, type StoreProblem } from "./store-problem.js";
import type { ReadableTable, TableEntry, TablesSnapshot } from "./tables.js";

export interface DumpOptions {
  /** Default true. */
  readonly records?: boolean | undefined;
  /** History, and the idempotency keys of its writes. Default true. */
  readonly history?: boolean | undefined;
  /** The first revision of history that is wanted. Default: the oldest. */
  readonly from?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A piece of what a data directory holds, in this order; damage stands where it was met. */
export type DumpItem =
  /** Nothing can be read. */
  | { readonly kind: "problem"; readonly problem: StoreProblem }
  /** As they are kept, whether they make sense or not. */
  | { readonly kind: "header"; readonly header: DumpHeader }
  | { readonly kind: "record"; readonly record: Record }
  | { readonly kind: "history"; readonly entry: HistoryEntry }
  | { readonly kind: "idempotency"; readonly write: IdempotentWrite }
  /** Something that is there and cannot be read, for people. */
  | { readonly kind: "damage"; readonly description: string };

export interface DumpHeader {
  readonly formatVersion: string | undefined;
  readonly epoch: string | undefined;
  readonly backupTime: string | undefined;
  readonly headRevision: string | undefined;
  readonly oldestRevision: string | undefined;
}

/** Everything in a data directory as it is at one moment, offline or beside a running server. Throws once `signal` aborts. */
export async function* dumpStore(path: string, options: DumpOptions = {}): AsyncGenerator<DumpItem, void, undefined> {
  const opened = await openLmdbTables(resolve(path), { readOnly: true });
  if (isStoreProblem(opened)) return yield { kind: "problem", problem: opened };
  const { tables } = opened;
  let snapshot: TablesSnapshot | undefined;
  try {
    snapshot = tables.snapshot();
    yield* dumpTables(snapshot, options);
  } finally {
    snapshot?.release();
    await tables.close();
  }
}

async function* dumpTables(
  tables: TablesSnapshot,
  { records = true, history = true, from = 0n, signal }: DumpOptions,
): AsyncGenerator<DumpItem, void, undefined> {
  yield { kind: "header", header: toHeader(new StoreData(tables)) };
  if (records) yield* dumpTable("records", tables.records, toRecord, signal);
  if (!history) return;
  const before = from > 0n ? toRevisionKey(from - 1n) : undefined;
  yield* dumpTable("history", tables.history, toEntry, signal, before);
  if (from === 0n) yield* dumpTable("idempotency keys", tables.idempotency, toWrite, signal);
}

function toHeader(data: StoreData<TablesSnapshot>): DumpHeader {
  return {
    formatVersion: data.meta(META.format),
    epoch: data.meta(META.epoch),
    backupTime: data.meta(META.backup),
    headRevision: data.meta(META.head),
    oldestRevision: data.meta(META.oldest),
  };
}

async function* dumpTable(
  name: string,
  table: ReadableTable,
  toItem: (entry: TableEntry) => DumpItem,
  signal: AbortSignal | undefined,
  after?: Uint8Array,
): AsyncGenerator<DumpItem, void, undefined> {
  try {
    for await (const batch of readBatches(table, signal, after)) {
      for (const entry of batch) yield read(() => toItem(entry));
    }
  } catch (cause) {
    signal?.throwIfAborted();
    yield { kind: "damage", description: `the rest of the ${name} cannot be read: ${messageOf(cause)}` };
  }
}

function read(action: () => DumpItem): DumpItem {
  try {
    return action();
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause !== undefined ? `: ${messageOf(cause.cause)}` : "";
    return { kind: "damage", description: `${messageOf(cause)}${reason}` };
  }
}

function toRecord({ key, value }: TableEntry): DumpItem {
  return { kind: "record", record: decodeRecord(fromTextKey(key), value) };
}

function toEntry({ key, value }: TableEntry): DumpItem {
  const revision = fromRevisionKey(key);
  if (revision === undefined)
    throw new Error(`history has an entry at ${Buffer.from(key).toString("hex")}, no revision`);
  return { kind: "history", entry: decodeHistoryEntry(revision, value) };
}

function toWrite({ key, value }: TableEntry): DumpItem {
  try {
    return { kind: "idempotency", write: decodeIdempotentWrite(value).write };
  } catch (cause) {
    throw new Error(`the idempotency key at ${Buffer.from(key).toString("hex")} cannot be decoded`, { cause });
  }
}
