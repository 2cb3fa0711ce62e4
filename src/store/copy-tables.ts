import { createHash } from "node:crypto";
import { fromTextKey } from "./keys.js";
import { readBatches } from "./read-batches.js";
import { META, putMeta } from "./store-data.js";
import { type ReadableTables, TABLE_NAMES, type TableEntry, type TableName, type Tables } from "./tables.js";

/** What a copy does not take over from its original. */
export interface CopyIdentity {
  readonly epoch: string;
  /** When it was made, in RFC 3339, if it is a backup. */
  readonly backupTime: string | undefined;
}

/** A copy never takes the last of a disk, in bytes: others write there too, and a full one has crashed LMDB. */
export const COPY_RESERVE_BYTES = 64 * 2 ** 20;

/**
 * Copies everything into empty tables, a transaction after the other; what makes them a store comes with the last one.
 * Gives the digest of what was read: see `digestTables`.
 */
export async function copyTables(
  source: ReadableTables,
  target: Tables,
  identity: CopyIdentity,
  signal: AbortSignal | undefined,
): Promise<string> {
  const digest = new TablesDigest();
  for (const name of TABLE_NAMES) {
    if (name === "meta") continue;
    for await (const batch of readBatches(source[name], signal)) {
      checkSpace(target, batch);
      await target.transact(() => {
        for (const { key, value } of batch) target[name].put(key, value);
      });
      digest.add(name, batch);
    }
  }
  const meta = [...source.meta.entries()];
  digest.add("meta", meta);
  await target.transact(() => {
    for (const { key, value } of meta) if (!isIdentity(key)) target.meta.put(key, value);
    putMeta(target, META.epoch, identity.epoch);
    if (identity.backupTime !== undefined) putMeta(target, META.backup, identity.backupTime);
  });
  return digest.finish();
}

/** A digest of everything but the identity: the same for an original and its copy. */
export async function digestTables(tables: ReadableTables, signal: AbortSignal | undefined): Promise<string> {
  const digest = new TablesDigest();
  for (const name of TABLE_NAMES) {
    if (name === "meta") continue;
    for await (const batch of readBatches(tables[name], signal)) digest.add(name, batch);
  }
  digest.add("meta", [...tables.meta.entries()]);
  return digest.finish();
}

class TablesDigest {
  readonly #hash = createHash("sha256");

  add(name: TableName, entries: readonly TableEntry[]): void {
    for (const { key, value } of entries) {
      if (name === "meta" && isIdentity(key)) continue;
      this.#hash.update(`${name} ${key.length} ${value.length} `).update(key).update(value);
    }
  }

  finish(): string {
    return this.#hash.digest("hex");
  }
}

function isIdentity(metaKey: Uint8Array): boolean {
  const name = fromTextKey(metaKey);
  return name === META.epoch || name === META.backup;
}

function checkSpace(target: Tables, batch: readonly TableEntry[]): void {
  let sizeBytes = 0;
  for (const { value } of batch) sizeBytes += value.length;
  if (target.freeBytes() < COPY_RESERVE_BYTES + 2 * sizeBytes) {
    throw Object.assign(new Error("too little space is left"), { code: "ENOSPC" });
  }
}
