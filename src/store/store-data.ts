import { fromBinary } from "@bufbuild/protobuf";
import type { HistoryEntry, Record } from "../../gen/flagwire/v1/history_pb.js";
import { HistoryEntrySchema, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { StateView } from "./commit-plan.js";
import { readOutlines, readTimeMs } from "./history-outline.js";
import { fromRevisionKey, fromTextKey, toIdempotencyKey, toRevisionKey, toTextKey } from "./keys.js";
import { omitLargeKeys } from "./omit-large-keys.js";
import { type RecordId, recordId } from "./record.js";
import type { ChangeOutline, HistoryEdges, IdempotentWrite, StoreState } from "./store.js";
import type { ReadableTables, Tables } from "./tables.js";

/** The layout of the tables. One that has changed needs a new number, and a way to convert. */
export const FORMAT_VERSION = "1";

/** The keys of the meta table. Values are text; numbers are in decimal. */
export const META = {
  format: "format",
  epoch: "epoch",
  head: "head",
  oldest: "oldest",
  historyBytes: "history-bytes",
  /** No revision before this one has its idempotency key kept. */
  oldestIdempotent: "idempotency-oldest",
  /** The numbers of the writes that changed nothing whose idempotency keys are kept. Absent before the first. */
  oldestUnchanged: "unchanged-oldest",
  newestUnchanged: "unchanged-newest",
  /** Only in a backup: when it was made, in RFC 3339. The server that is started on one begins a new epoch. */
  backup: "backup",
} as const;

/** Numbers of writes that changed nothing, in the order in which they were answered. */
export interface UnchangedEdges {
  readonly oldest: bigint;
  readonly newest: bigint;
}

/** An idempotency key as it is kept. */
export interface KeptWrite {
  readonly write: IdempotentWrite;
  /** Of a write that changed nothing: its number. */
  readonly unchanged: bigint | undefined;
}

/** Typed reading of the tables. Throws for what cannot be decoded. */
export class StoreData<T extends ReadableTables = Tables> implements StateView {
  constructor(readonly tables: T) {}

  meta(name: string): string | undefined {
    const value = this.tables.meta.get(toTextKey(name));
    return value && fromTextKey(value);
  }

  get head(): bigint {
    return this.#number(META.head);
  }

  get edges(): HistoryEdges {
    return { oldest: this.#number(META.oldest), newest: this.head };
  }

  /** Versions that dropped the keys together with history did not write it. */
  get oldestIdempotent(): bigint {
    return this.meta(META.oldestIdempotent) === undefined ? this.edges.oldest : this.#number(META.oldestIdempotent);
  }

  /** Both included: none are kept while `oldest` is above `newest`. Versions that did not keep such keys wrote neither. */
  get unchanged(): UnchangedEdges {
    if (this.meta(META.newestUnchanged) === undefined) return { oldest: 1n, newest: 0n };
    return { oldest: this.#number(META.oldestUnchanged), newest: this.#number(META.newestUnchanged) };
  }

  /** Size of all kept history entries, in bytes. */
  get historyBytes(): number {
    return Number(this.#number(META.historyBytes));
  }

  record(id: RecordId): Record | undefined {
    const bytes = this.recordBytes(id);
    return bytes && decodeRecord(id, bytes);
  }

  /** A record as it is kept. */
  recordBytes(id: RecordId): Uint8Array | undefined {
    return this.tables.records.get(toTextKey(id));
  }

  deletedAt(id: RecordId): bigint | undefined {
    const key = this.tables.deletions.get(toTextKey(id));
    return key && fromRevisionKey(key);
  }

  idempotentWrite(key: string): IdempotentWrite | undefined {
    const bytes = this.tables.idempotency.get(toIdempotencyKey(key));
    if (bytes === undefined) return undefined;
    const { write, unchanged } = decodeIdempotentWrite(bytes);
    return unchanged === undefined ? write : { ...write, changedNothing: true };
  }

  /** A history entry as it is kept. */
  entryBytes(revision: bigint): Uint8Array | undefined {
    return this.tables.history.get(toRevisionKey(revision));
  }

  /** Everything, at one revision, if called within one turn after `refresh`. */
  state(): StoreState {
    const records = new Map<RecordId, Record>();
    for (const { key, value } of this.tables.records.entries()) {
      const id = fromTextKey(key);
      records.set(id, decodeRecord(id, value));
    }
    return { revision: this.head, records };
  }

  #number(name: string): bigint {
    const text = this.meta(name);
    if (text === undefined || !/^\d{1,20}$/.test(text)) throw new Error(`its entry "${name}" is ${text ?? "missing"}`);
    return BigInt(text);
  }
}

/** Inside a transaction. */
export function putMeta({ meta }: Pick<Tables, "meta">, name: string, value: string | bigint | number): void {
  meta.put(toTextKey(name), toTextKey(String(value)));
}

/** Throws if `bytes` are not the record `id`. */
export function decodeRecord(id: RecordId, bytes: Uint8Array): Record {
  const record = decode(`record ${id}`, () => fromBinary(RecordSchema, bytes));
  const found = recordId(record);
  if (found !== id) throw new Error(`record ${id} holds ${found ?? "no record that this version knows"}`);
  return record;
}

/** Throws if `bytes` are not the entry of `revision`. Segments of more than `maxSegmentBytes` come without their keys. */
export function decodeHistoryEntry(revision: bigint, bytes: Uint8Array, maxSegmentBytes?: number): HistoryEntry {
  const entry = decode(`history entry ${revision}`, () => {
    const decoded = maxSegmentBytes === undefined ? bytes : omitLargeKeys(bytes, maxSegmentBytes);
    return fromBinary(HistoryEntrySchema, decoded);
  });
  if (entry.revision !== revision) throw new Error(`history entry ${revision} says that it is ${entry.revision}`);
  return entry;
}

/** As far as outlines need it. Throws if `bytes` are no entry. */
export function decodeOutlines(revision: bigint, bytes: Uint8Array): ChangeOutline[] {
  return decode(`history entry ${revision}`, () => [...readOutlines(bytes)]);
}

/** When an entry was committed, in epoch milliseconds. Throws if `bytes` are no entry. */
export function decodeTimeMs(revision: bigint, bytes: Uint8Array): number {
  return decode(`history entry ${revision}`, () => readTimeMs(bytes));
}

export function encodeIdempotentWrite({ write, unchanged }: KeptWrite): Uint8Array {
  const { key, fingerprint, revision } = write;
  const number = unchanged !== undefined && { unchanged: String(unchanged) };
  return Buffer.from(JSON.stringify({ key, fingerprint, revision: String(revision), ...number }), "utf8");
}

/** Throws if `bytes` are not such a write. */
export function decodeIdempotentWrite(bytes: Uint8Array): KeptWrite {
  const json: unknown = decode("idempotency key", () => JSON.parse(fromTextKey(bytes)));
  if (typeof json === "object" && json !== null && "key" in json && "fingerprint" in json && "revision" in json) {
    const { key, fingerprint } = json;
    const revision = toNumber(json.revision);
    const unchanged = "unchanged" in json ? toNumber(json.unchanged) : undefined;
    const isWhole = revision !== undefined && (unchanged !== undefined || !("unchanged" in json));
    if (typeof key === "string" && typeof fingerprint === "string" && isWhole) {
      return { write: { key, fingerprint, revision }, unchanged };
    }
  }
  throw new Error("idempotency key cannot be decoded");
}

function toNumber(value: unknown): bigint | undefined {
  return /^\d{1,20}$/.test(String(value)) ? BigInt(String(value)) : undefined;
}

function decode<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new Error(`${what} cannot be decoded`, { cause });
  }
}
