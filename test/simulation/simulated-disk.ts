import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { initializeTables } from "../../src/store/initialize-tables.js";
import { fromRevisionKey, fromTextKey, toTextKey } from "../../src/store/keys.js";
import { decodeHistoryEntry, META } from "../../src/store/store-data.js";
import type { Table, TableEntry, Tables, TablesSnapshot } from "../../src/store/tables.js";
import type { Chance } from "./chance.js";
import type { SimulatedClock } from "./simulated-clock.js";

const NAMES = ["meta", "records", "history", "idempotency", "idempotencyOrder", "deletions"] as const;
type Name = (typeof NAMES)[number];
type Content = { readonly [name in Name]: Map<string, Uint8Array> };

/** What was durable at some time. */
export interface Backup {
  readonly content: Content;
  readonly epoch: string;
  readonly revision: number;
}

/** How a disk behaves. May be changed at any time. */
export interface DiskManners {
  /** How long a sync takes at most. 0: no time at all. */
  maxSyncMs: number;
  /** The next sync fails; what it was to write is then there all the same, or not. */
  failsNext: "no" | "lost" | "kept";
  freeBytes: number;
}

/** Told of each transaction when it has become durable. */
export type CommitObserver = (epoch: string, entry: HistoryEntry) => void;

/**
 * The durable part of a store: tables whose writes are seen by others only after a sync, which takes time, covers all that
 * was asked for before it, and can fail or be cut short.
 */
export class SimulatedDisk {
  readonly manners: DiskManners = { maxSyncMs: 0, failsNext: "no", freeBytes: Number.POSITIVE_INFINITY };
  #content: Content = emptyContent();
  #mounted: MountedTables | undefined;

  constructor(
    readonly clock: SimulatedClock,
    readonly chance: Chance,
    readonly committed: CommitObserver,
  ) {}

  async format(epoch: string): Promise<void> {
    await initializeTables(this.mount(), epoch);
  }

  /** For a store that begins. Whatever another one had is not its any more. */
  mount(): Tables {
    this.unplug();
    this.#mounted = new MountedTables(this.#content, this);
    return this.#mounted;
  }

  /** The process that writes is killed: what it was writing is there, or not. */
  unplug(): void {
    this.#mounted?.unplug(this.chance.is(0.5));
    this.#mounted = undefined;
  }

  backup(): Backup {
    const content = copyContent(this.#content);
    const text = (name: string): string => fromTextKey(content.meta.get(toText(toTextKey(name))) ?? new Uint8Array());
    return { content, epoch: text(META.epoch), revision: Number(text(META.head)) };
  }

  /** A backup becomes what is there, in an epoch of its own. Nothing may be mounted. */
  restore(backup: Backup, epoch: string): void {
    this.#content = copyContent(backup.content);
    this.#content.meta.set(toText(toTextKey(META.epoch)), toTextKey(epoch));
  }
}

/** A transaction on its way. `run` throws where it is to be refused. */
interface Job {
  readonly run: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class MountedTables implements Tables {
  readonly meta: SyncedTable;
  readonly records: SyncedTable;
  readonly history: SyncedTable;
  readonly idempotency: SyncedTable;
  readonly idempotencyOrder: SyncedTable;
  readonly deletions: SyncedTable;
  readonly #disk: SimulatedDisk;
  readonly #all: readonly SyncedTable[];
  #waiting: Job[] = [];
  #isSyncing = false;
  #inTransaction = false;
  #isUnplugged = false;

  constructor(content: Content, disk: SimulatedDisk) {
    this.#disk = disk;
    const table = (name: Name): SyncedTable => new SyncedTable(content[name], () => this.#inTransaction);
    this.meta = table("meta");
    this.records = table("records");
    this.history = table("history");
    this.idempotency = table("idempotency");
    this.idempotencyOrder = table("idempotencyOrder");
    this.deletions = table("deletions");
    this.#all = NAMES.map((name) => this[name]);
  }

  transact<T>(action: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const run = (): void => {
        result = { value: action() };
      };
      this.#waiting.push({ run, resolve: () => result && resolve(result.value), reject });
      if (!this.#isSyncing) this.#write();
    });
  }

  refresh(): void {}

  snapshot(): TablesSnapshot {
    const copy = (name: Name): SyncedTable => new SyncedTable(new Map(this[name].content), () => true);
    return {
      meta: copy("meta"),
      records: copy("records"),
      history: copy("history"),
      idempotency: copy("idempotency"),
      idempotencyOrder: copy("idempotencyOrder"),
      deletions: copy("deletions"),
      sizeBytes: 0,
      release: () => undefined,
    };
  }

  freeBytes(): number {
    return this.#disk.manners.freeBytes;
  }

  async close(): Promise<void> {}

  /** Nothing that is asked for from then on comes to an end. */
  unplug(keeps: boolean): void {
    if (this.#isUnplugged) return;
    this.#isUnplugged = true;
    if (keeps && this.#isSyncing) this.#keep();
  }

  #write(): void {
    if (this.#isUnplugged) return;
    this.#isSyncing = true;
    const jobs = this.#waiting.splice(0).filter((job) => this.#run(job));
    const { clock, chance, manners } = this.#disk;
    const syncMs = Math.floor(chance.number() * manners.maxSyncMs);
    if (syncMs === 0) this.#finish(jobs);
    else clock.after(syncMs, () => this.#finish(jobs));
  }

  #run({ run, reject }: Job): boolean {
    this.#inTransaction = true;
    try {
      run();
      return true;
    } catch (error) {
      reject(error);
      return false;
    } finally {
      this.#inTransaction = false;
    }
  }

  #finish(jobs: readonly Job[]): void {
    if (this.#isUnplugged) return;
    const { manners } = this.#disk;
    const { failsNext } = manners;
    manners.failsNext = "no";
    this.#isSyncing = false;
    if (failsNext === "lost") for (const table of this.#all) table.forget();
    else this.#keep();
    for (const { resolve, reject } of jobs) {
      if (failsNext === "no") resolve();
      else reject(new Error("EIO: the sync failed"));
    }
    if (this.#waiting.length > 0) this.#write();
  }

  #keep(): void {
    const entries = this.history.takePuts();
    for (const table of this.#all) table.keep();
    const epoch = fromTextKey(this.meta.get(toTextKey(META.epoch)) ?? new Uint8Array());
    for (const { key, value } of entries) {
      this.#disk.committed(epoch, decodeHistoryEntry(fromRevisionKey(key) ?? 0n, value));
    }
  }
}

/** A table of which a transaction sees everything, and others what is synced. */
class SyncedTable implements Table {
  #unsynced = new Map<string, Uint8Array | undefined>();
  #puts: TableEntry[] = [];

  constructor(
    readonly content: Map<string, Uint8Array>,
    readonly seesAll: () => boolean,
  ) {}

  get(key: Uint8Array): Uint8Array | undefined {
    const text = toText(key);
    return this.seesAll() && this.#unsynced.has(text) ? this.#unsynced.get(text) : this.content.get(text);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#unsynced.set(toText(key), value);
    this.#puts.push({ key, value });
  }

  remove(key: Uint8Array): void {
    this.#unsynced.set(toText(key), undefined);
  }

  *entries(after?: Uint8Array): Iterable<TableEntry> {
    const first = after && toText(after);
    for (const key of [...this.content.keys()].sort()) {
      if (first !== undefined && key <= first) continue;
      const value = this.content.get(key);
      if (value !== undefined) yield { key: Buffer.from(key, "latin1"), value };
    }
  }

  /** What was put since the last sync, in order, also where it was removed again. */
  takePuts(): TableEntry[] {
    const puts = this.#puts;
    this.#puts = [];
    return puts;
  }

  keep(): void {
    for (const [key, value] of this.#unsynced) {
      if (value === undefined) this.content.delete(key);
      else this.content.set(key, value);
    }
    this.forget();
  }

  forget(): void {
    this.#unsynced = new Map();
    this.#puts = [];
  }
}

function emptyContent(): Content {
  return Object.fromEntries(NAMES.map((name) => [name, new Map()])) as unknown as Content;
}

function copyContent(content: Content): Content {
  return Object.fromEntries(NAMES.map((name) => [name, new Map(content[name])])) as unknown as Content;
}

function toText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
