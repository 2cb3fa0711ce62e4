/**
 * What a store is kept in: a few ordered tables and one atomic, durable way to change them. It is all that an adapter of
 * an embedded engine has to provide; see LogStore for what is built on it.
 */
export interface Tables {
  readonly meta: Table;
  /** Record id to Record. */
  readonly records: Table;
  /** Revision to HistoryEntry. */
  readonly history: Table;
  /** Digest of an idempotency key to the write. */
  readonly idempotency: Table;
  /**
   * Revision to digest of its idempotency key, so that the oldest keys leave first. Behind those, the number of a write that
   * changed nothing to the digest of its key and the revision that it was answered with: see `toUnchangedKey`.
   */
  readonly idempotencyOrder: Table;
  /** Id of a record that is absent to the kept revision that deleted it. */
  readonly deletions: Table;
  /** See SideTable. No part of the store: not among TABLE_NAMES. Absent where the tables are only read. */
  readonly side?: Table | undefined;
  /**
   * Runs `action` when all transactions asked for earlier have run, and resolves with its result after everything that it
   * and they put is durable. Inside, reads see the puts of earlier transactions even before those are durable. If `action`
   * throws, nothing of it is put. A rejection for any other reason leaves open whether it is durable.
   */
  transact<T>(action: () => T): Promise<T>;
  /** Lets reads outside a transaction see everything that is durable by now, until the end of this turn. */
  refresh(): void;
  /** Everything that is durable by now, as it stays for whoever reads it over many turns. */
  snapshot(): TablesSnapshot;
  /** Free space for this process's user, in bytes. */
  freeBytes(): number;
  /** Nothing may be read or written from then on. */
  close(): Promise<void>;
}

/** The tables of a store, for reading. */
export type ReadableTables = { readonly [K in TableName]: ReadableTable };

export type TableName = "meta" | "records" | "history" | "idempotency" | "idempotencyOrder" | "deletions";

/** Where a table does not matter, in this order. */
export const TABLE_NAMES: readonly TableName[] = [
  "meta",
  "records",
  "history",
  "idempotency",
  "idempotencyOrder",
  "deletions",
];

/** The tables at one moment. As long as it is held, the pages that it needs are not reused: the file grows meanwhile. */
export interface TablesSnapshot extends ReadableTables {
  /** What it takes on disk, about, in bytes. */
  readonly sizeBytes: number;
  /** Before the tables are closed. It may not be read any more. */
  release(): void;
}

/** Ordered by key, bytewise. What `get` and `entries` give is the receiver's own. */
export interface ReadableTable {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Those after the key `after`, else all. Finish it within the turn: it would keep old pages from being reused. */
  entries(after?: Uint8Array): Iterable<TableEntry>;
}

export interface Table extends ReadableTable {
  /** Only inside a transaction. */
  put(key: Uint8Array, value: Uint8Array): void;
  /** Only inside a transaction. */
  remove(key: Uint8Array): void;
}

export interface TableEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}
