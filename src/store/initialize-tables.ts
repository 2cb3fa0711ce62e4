import { FORMAT_VERSION, META, putMeta } from "./store-data.js";
import type { Tables } from "./tables.js";

/** Makes empty tables a store at revision 0. Durable and whole, or not at all: the format is what tells them apart. */
export async function initializeTables(tables: Tables, epoch: string): Promise<void> {
  await tables.transact(() => {
    putMeta(tables, META.format, FORMAT_VERSION);
    putMeta(tables, META.epoch, epoch);
    putMeta(tables, META.head, 0);
    putMeta(tables, META.oldest, 1);
    putMeta(tables, META.historyBytes, 0);
  });
}
