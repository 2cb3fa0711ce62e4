import type { Table, TableEntry, Tables } from "./tables.js";

/** Tables that live and die with the process. */
export function createMemoryTables(): Tables {
  return {
    meta: new MemoryTable(),
    records: new MemoryTable(),
    history: new MemoryTable(),
    idempotency: new MemoryTable(),
    idempotencyOrder: new MemoryTable(),
    deletions: new MemoryTable(),
    // Nothing to roll back: whoever calls does all that may throw before the first put.
    transact: async (action) => action(),
    refresh: () => undefined,
    freeBytes: () => Number.POSITIVE_INFINITY,
    close: async () => undefined,
  };
}

class MemoryTable implements Table {
  /** Keys as Latin-1 strings: they compare like their bytes. */
  readonly #entries = new Map<string, Uint8Array>();

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(toText(key));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#entries.set(toText(key), value);
  }

  remove(key: Uint8Array): void {
    this.#entries.delete(toText(key));
  }

  *entries(): Iterable<TableEntry> {
    const keys = [...this.#entries.keys()].sort();
    for (const key of keys) {
      const value = this.#entries.get(key);
      if (value) yield { key: Buffer.from(key, "latin1"), value };
    }
  }
}

function toText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
