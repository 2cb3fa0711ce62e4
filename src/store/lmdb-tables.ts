import { statfsSync } from "node:fs";
import { type Database, open, type RootDatabase, type Transaction } from "lmdb";
import { checkDataFile, otherFormat, padDataFile } from "./data-file.js";
import { whileHeld } from "./hold-writes.js";
import { fromTextKey, toTextKey } from "./keys.js";
import { FORMAT_VERSION, META } from "./store-data.js";
import { damaged, type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";
import {
  type ReadableTable,
  TABLE_NAMES,
  type Table,
  type TableEntry,
  type TableName,
  type Tables,
  type TablesSnapshot,
} from "./tables.js";
import { WriteGate } from "./write-gate.js";

type Root = RootDatabase<Uint8Array, Uint8Array>;

/** The names of the databases inside the file. */
const DATABASES = {
  meta: "meta",
  records: "records",
  history: "history",
  idempotency: "idempotency",
  idempotencyOrder: "idempotency-order",
  deletions: "deletions",
} as const satisfies { readonly [K in TableName]: string };

/** See Tables.side. What was written before there was one has none. */
const SIDE_DATABASE = "side";

const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;

/**
 * - `overlappingSync: false`: with true, a write can be read, and survives, although its sync failed and its promise was
 *   rejected.
 * - `eventTurnBatching: false`: with true, a failed commit raises an unhandled rejection of lmdb's own.
 * - `noSubdir: false`: else a directory with a dot in its name is taken for a file.
 * - `mapSize`: address space, not disk, and far beyond the bounds of history. A file gets that large only beside a snapshot
 *   that is held while very much is written, because freed pages are not reused then; lmdb would have to map it anew.
 * The rest that lmdb offers (cache, compression, useWritemap, noSync and the like) stays off.
 */
const LMDB_OPTIONS = {
  ...BINARY,
  noSubdir: false,
  overlappingSync: false,
  eventTurnBatching: false,
  mapSize: 4 * 2 ** 30,
  maxDbs: 16,
  maxReaders: 126,
} as const;

export interface LmdbTablesOptions {
  /** Never writes; fails where there is no store. Else one is created if there is none: see `created`. */
  readonly readOnly: boolean;
  /** Held while others open the directory. Default: nobody does. */
  readonly gate?: WriteGate | undefined;
}

export interface OpenedTables {
  readonly tables: Tables;
  /** There was no store: the tables are empty, and not yet initialized. */
  readonly created: boolean;
}

/** Opens the tables in a directory that exists, and that is this process's own unless `readOnly`. */
export function openLmdbTables(path: string, options: LmdbTablesOptions): Promise<OrStoreProblem<OpenedTables>> {
  return options.readOnly ? whileHeld(path, () => openTables(path, options)) : openTables(path, options);
}

async function openTables(path: string, options: LmdbTablesOptions): Promise<OrStoreProblem<OpenedTables>> {
  const found = await checkDataFile(path);
  if (found instanceof StoreProblem) return found;
  if (found === "absent" && options.readOnly) return noStore(path);
  let root: Root | undefined;
  try {
    root = open<Uint8Array, Uint8Array>({ path, ...LMDB_OPTIONS, readOnly: options.readOnly });
    const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
    if (found === "present" && (await padDataFile(path, (lastPageNumber + 1) * pageSize))) {
      await root.close();
      root = undefined;
      root = open<Uint8Array, Uint8Array>({ path, ...LMDB_OPTIONS, readOnly: options.readOnly });
    }
    const opened = await openDatabases(path, root, options);
    if (opened instanceof StoreProblem) await root.close();
    return opened;
  } catch (cause) {
    await root?.close();
    return toStoreProblem(path, cause);
  }
}

async function openDatabases(
  path: string,
  root: Root,
  { readOnly, gate = new WriteGate() }: LmdbTablesOptions,
): Promise<OrStoreProblem<OpenedTables>> {
  const format = readFormat(root);
  if (format !== undefined && format !== FORMAT_VERSION) {
    return otherFormat(path, `data of format ${format}`, `format ${FORMAT_VERSION}`);
  }
  const known: readonly string[] = [...Object.values(DATABASES), SIDE_DATABASE];
  for (const key of root.getKeys()) {
    // LMDB ends the names of its databases with a NUL.
    const name = fromTextKey(key).replace(/\0$/, "");
    if (format === undefined && !known.includes(name))
      return otherFormat(path, "another program's database", "its own");
  }
  if (format === undefined && readOnly) return noStore(path);
  const tables = {} as { -readonly [K in TableName]: LmdbTable };
  for (const table of TABLE_NAMES) {
    const database = root.openDB<Uint8Array, Uint8Array>(DATABASES[table], BINARY) as LmdbDatabase | undefined;
    if (!database) return damaged(path, `its table "${table}" is missing`);
    tables[table] = new LmdbTable(database);
  }
  // Makes it where it is missing, which is a write as any other.
  const side = readOnly ? undefined : await gate.write(async () => new LmdbTable(root.openDB(SIDE_DATABASE, BINARY)));
  return { tables: new LmdbTables(path, root, { tables, side }, gate), created: format === undefined };
}

function readFormat(root: Root): string | undefined {
  // `create` is an option of lmdb that its types do not know.
  const options = { ...BINARY, create: false };
  const meta = root.openDB<Uint8Array, Uint8Array>(DATABASES.meta, options) as LmdbDatabase | undefined;
  const format = meta?.getBinary(toTextKey(META.format));
  return format && fromTextKey(format);
}

function noStore(path: string): StoreProblem {
  return new StoreProblem("not-found", `${path} holds no data: check the path.`);
}

type LmdbDatabase = Database<Uint8Array, Uint8Array>;

interface OpenedDatabases {
  readonly tables: { readonly [K in TableName]: LmdbTable };
  readonly side: LmdbTable | undefined;
}

class LmdbTables implements Tables {
  readonly meta: Table;
  readonly records: Table;
  readonly history: Table;
  readonly idempotency: Table;
  readonly idempotencyOrder: Table;
  readonly deletions: Table;
  readonly side: Table | undefined;
  readonly #tables: { readonly [K in TableName]: LmdbTable };
  readonly #path: string;
  readonly #root: Root;
  readonly #gate: WriteGate;
  /** The newest that a write has seen. */
  #lastTransactionId = 0;

  constructor(path: string, root: Root, { tables, side }: OpenedDatabases, gate: WriteGate) {
    this.#gate = gate;
    this.#tables = tables;
    this.side = side;
    this.#path = path;
    this.#root = root;
    this.meta = tables.meta;
    this.records = tables.records;
    this.history = tables.history;
    this.idempotency = tables.idempotency;
    this.idempotencyOrder = tables.idempotencyOrder;
    this.deletions = tables.deletions;
  }

  async transact<T>(action: () => T): Promise<T> {
    try {
      // Only a child transaction is rolled back when `action` throws. lmdb runs all that wait in one transaction, in
      // order, and syncs once for them.
      return await this.#gate.write(async () => this.#root.childTransaction(() => this.#run(action)));
    } catch (cause) {
      throw await commitError(cause);
    }
  }

  /**
   * A process that opens the directory and is not kept in step with this one can make LMDB forget what was committed: see
   * WriteGate. To go on from there has ended the process, or would write over what was acknowledged. An id may come again,
   * after a transaction that put nothing; where a commit was lost all the same, LogStore finds another head.
   */
  #run<T>(action: () => T): T {
    const id = this.#root.getWriteTxnId();
    if (id < this.#lastTransactionId) throw new Error(`LMDB went back to transaction ${id}`);
    this.#lastTransactionId = id;
    return action();
  }

  refresh(): void {
    this.#root.resetReadTxn();
  }

  snapshot(): TablesSnapshot {
    this.#root.resetReadTxn();
    const transaction = this.#root.useReadTransaction();
    const tables = {} as { -readonly [K in TableName]: ReadableTable };
    let sizeBytes = 0;
    for (const name of TABLE_NAMES) {
      tables[name] = this.#tables[name].at(transaction);
      sizeBytes += this.#tables[name].sizeBytes;
    }
    return { ...tables, sizeBytes, release: () => transaction.done() };
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize;
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

class LmdbTable implements Table {
  readonly #database: LmdbDatabase;

  constructor(database: LmdbDatabase) {
    this.#database = database;
  }

  get sizeBytes(): number {
    const stats = this.#database.getStats() as DatabaseStats;
    return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#database.getBinary(key);
  }

  // Inside a transaction both are done when they return, so their promises say nothing.
  put(key: Uint8Array, value: Uint8Array): void {
    void this.#database.put(key, value);
  }

  remove(key: Uint8Array): void {
    void this.#database.remove(key);
  }

  entries(after?: Uint8Array): Iterable<TableEntry> {
    return this.#database.getRange(after && { start: after, exclusiveStart: true });
  }

  /** The table as a read transaction sees it. */
  at(transaction: Transaction): ReadableTable {
    const database = this.#database;
    return {
      // lmdb's types do not know that it takes options too.
      get: (key) => (database as TransactionalGet).getBinary(key, { transaction }),
      entries: (after) => database.getRange({ ...(after && { start: after, exclusiveStart: true }), transaction }),
    };
  }
}

interface TransactionalGet {
  getBinary(key: Uint8Array, options: { readonly transaction: Transaction }): Uint8Array | undefined;
}

/** What lmdb tells of a database, in pages. */
interface DatabaseStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/**
 * The reason behind lmdb's "Commit failed". It hangs on the error as a promise that rejects; if nobody takes that, it is an
 * unhandled rejection.
 */
async function commitError(error: unknown): Promise<unknown> {
  if (typeof error !== "object" || error === null || !("commitError" in error)) return error;
  const reason = Promise.resolve(error.commitError).then(
    () => error,
    (cause: unknown) => cause,
  );
  // It rejects in the same turn or never.
  const turn = new Promise<unknown>((resolve) => setImmediate(() => resolve(error)));
  return Promise.race([reason, turn]);
}
