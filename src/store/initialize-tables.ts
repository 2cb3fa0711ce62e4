import { FORMAT_VERSION, META, StoreData } from "./store-data.js";
import type { Tables } from "./tables.js";

/** Makes empty tables a store at revision 0. Durable and whole, or not at all: the format is what tells them apart. */
export async function initializeTables(tables: Tables, epoch: string): Promise<void> {
  const data = new StoreData(tables);
  await tables.transact(() => {
    data.putMeta(META.format, FORMAT_VERSION);
    data.putMeta(META.epoch, epoch);
    data.putMeta(META.head, 0);
    data.putMeta(META.oldest, 1);
    data.putMeta(META.historyBytes, 0);
  });
}
