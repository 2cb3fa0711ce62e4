import { fromTextKey, toTextKey } from "./keys.js";
import type { Table, Tables } from "./tables.js";

/**
 * Texts that are kept in the data directory beside the log and are no part of it: they have no revision and no history, nobody
 * follows them, and a copy of the directory leaves them out. For what may be lost, such as counts of usage. Whoever writes bounds
 * how much there is.
 */
export interface SideTable {
  /**
   * What has a key that is longer than `prefix` and begins with it, in the order of the keys; without one, everything. Throws
   * `StoreUnavailable` once closed.
   */
  entries(prefix?: string): readonly SideEntry[];
  /** Makes changes durable, all or none. False where that was refused, because the disk is nearly full or the store has ended. */
  write(changes: readonly SideChange[]): Promise<boolean>;
}

export type SideEntry = readonly [key: string, text: string];

/** Undefined removes the key. */
export type SideChange = readonly [key: string, text: string | undefined];

/** What a side table asks of the store that it belongs to. */
export interface SideTableHost {
  readonly tables: Tables;
  /** As for commits: less than this stays free. */
  readonly minFreeBytes: number;
  /** Throws where the tables may not be read. */
  checkReadable(): void;
  isWritable(): boolean;
  /** A write failed underneath. */
  failed(cause: unknown): void;
}

/** A side table whose writes the store waits for before it closes. */
export class OwnedSideTable implements SideTable {
  readonly #host: SideTableHost;
  readonly #table: Table;
  readonly #writing = new Set<Promise<boolean>>();

  constructor(host: SideTableHost, table: Table) {
    this.#host = host;
    this.#table = table;
  }

  entries(prefix = ""): readonly SideEntry[] {
    this.#host.checkReadable();
    this.#host.tables.refresh();
    const entries: SideEntry[] = [];
    for (const { key, value } of this.#table.entries(prefix === "" ? undefined : toTextKey(prefix))) {
      const name = fromTextKey(key);
      if (!name.startsWith(prefix)) break;
      entries.push([name, fromTextKey(value)]);
    }
    return entries;
  }

  async write(changes: readonly SideChange[]): Promise<boolean> {
    if (changes.length === 0) return true;
    if (!this.#host.isWritable()) return false;
    const writing = this.#write(changes);
    this.#writing.add(writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }

  async #write(changes: readonly SideChange[]): Promise<boolean> {
    const { tables, minFreeBytes } = this.#host;
    const encoded = changes.map(([key, text]) => ({
      key: toTextKey(key),
      value: text === undefined ? undefined : toTextKey(text),
    }));
    let sizeBytes = 0;
    for (const { key, value } of encoded) sizeBytes += key.length + (value?.length ?? 0);
    try {
      return await tables.transact(() => {
        if (!this.#host.isWritable() || tables.freeBytes() < minFreeBytes + sizeBytes) return false;
        for (const { key, value } of encoded) {
          if (value) this.#table.put(key, value);
          else this.#table.remove(key);
        }
        return true;
      });
    } catch (cause) {
      this.#host.failed(cause);
      return false;
    }
  }
}
