import type { Table, TableEntry, Tables, TablesSnapshot } from "./tables.js";

/** Tables that live and die with the process. */
export function createMemoryTables(): Tables {
  const meta = new MemoryTable();
  const records = new MemoryTable();
  const history = new MemoryTable();
  const idempotency = new MemoryTable();
  const idempotencyOrder = new MemoryTable();
  const deletions = new MemoryTable();
  return {
    meta,
    records,
    history,
    idempotency,
    idempotencyOrder,
    deletions,
    side: new MemoryTable(),
    // Nothing to roll back: whoever calls does all that may throw before the first put.
    transact: async (action) => action(),
    refresh: () => undefined,
    snapshot: (): TablesSnapshot => ({
      meta: meta.copy(),
      records: records.copy(),
      history: history.copy(),
      idempotency: idempotency.copy(),
      idempotencyOrder: idempotencyOrder.copy(),
      deletions: deletions.copy(),
      sizeBytes: 0,
      release: () => undefined,
    }),
    freeBytes: () => Number.POSITIVE_INFINITY,
    close: async () => undefined,
  };
}

class MemoryTable implements Table {
  /** Keys as Latin-1 strings: they compare like their bytes. */
  readonly #entries: Map<string, Uint8Array>;

  constructor(entries: Iterable<readonly [string, Uint8Array]> = []) {
    this.#entries = new Map(entries);
  }

  copy(): MemoryTable {
    return new MemoryTable(this.#entries);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(toText(key));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#entries.set(toText(key), value);
  }

  remove(key: Uint8Array): void {
    this.#entries.delete(toText(key));
  }

  *entries(after?: Uint8Array): Iterable<TableEntry> {
    const first = after && toText(after);
    const keys = [...this.#entries.keys()].sort();
    for (const key of keys) {
      if (first !== undefined && key <= first) continue;
      const value = this.#entries.get(key);
      if (value) yield { key: Buffer.from(key, "latin1"), value };
    }
  }
}

function toText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
