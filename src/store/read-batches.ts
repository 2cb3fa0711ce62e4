import { setImmediate as nextTurn } from "node:timers/promises";
import type { ReadableTable, TableEntry } from "./tables.js";

/** How much is read within one turn, in bytes: little enough for memory, and for interrupting. One entry may be larger. */
const BATCH_BYTES = 8 * 2 ** 20;

/**
 * The entries of a snapshot's table in their order, batch by batch, each in a turn of its own: those after the key `first`,
 * else all. Throws once `signal` aborts.
 */
export async function* readBatches(
  table: ReadableTable,
  signal?: AbortSignal,
  first?: Uint8Array,
): AsyncGenerator<readonly TableEntry[], void, undefined> {
  let after = first;
  for (;;) {
    signal?.throwIfAborted();
    const batch = readBatch(table, after);
    const last = batch.at(-1);
    if (last === undefined) return;
    after = last.key;
    yield batch;
    await nextTurn();
  }
}

function readBatch(table: ReadableTable, after: Uint8Array | undefined): TableEntry[] {
  const batch: TableEntry[] = [];
  let sizeBytes = 0;
  for (const entry of table.entries(after)) {
    batch.push(entry);
    sizeBytes += entry.key.length + entry.value.length;
    if (sizeBytes >= BATCH_BYTES) break;
  }
  return batch;
}
