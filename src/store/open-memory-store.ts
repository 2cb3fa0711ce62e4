import { randomUUID } from "node:crypto";
import { initializeTables } from "./initialize-tables.js";
import { LogStore } from "./log-store.js";
import { createMemoryTables } from "./memory-tables.js";
import type { Store } from "./store.js";
import { type BoundsOptions, resolveBounds } from "./store-options.js";

export interface MemoryStoreOptions extends BoundsOptions {
  /** Default: a fresh random one. */
  readonly epoch?: string | undefined;
}

/** A store that is lost when it is closed, with all else as in one on disk. For tests and tools. */
export async function openMemoryStore(options: MemoryStoreOptions = {}): Promise<Store> {
  const tables = createMemoryTables();
  await initializeTables(tables, options.epoch ?? randomUUID());
  return new LogStore(tables, {
    ...resolveBounds(options),
    minFreeBytes: 0,
    readOnly: false,
    release: async () => undefined,
  });
}
