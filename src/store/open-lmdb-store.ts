import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type Clock, systemClock } from "../base/index.js";
import { createDirectories, syncDirectories, syncDirectory } from "./directories.js";
import { claimDirectory } from "./directory-claim.js";
import { initializeTables } from "./initialize-tables.js";
import { toTextKey } from "./keys.js";
import { openLmdbTables } from "./lmdb-tables.js";
import { LogStore } from "./log-store.js";
import { removeLeftovers } from "./staged-copy.js";
import type { Store } from "./store.js";
import { META, putMeta, StoreData } from "./store-data.js";
import { type BoundsOptions, resolveBounds } from "./store-options.js";
import { damaged, isStoreProblem, messageOf, type OrStoreProblem, toStoreProblem } from "./store-problem.js";
import type { Tables } from "./tables.js";
import type { WriteGate } from "./write-gate.js";

export interface LmdbStoreOptions extends BoundsOptions {
  /** The data directory, on a local file system. Created if it is missing. */
  readonly path: string;
  /** Default: the machine's. Bounds the wait for another process that holds the directory. */
  readonly clock?: Clock | undefined;
  /**
   * A commit that would leave less free disk space than this is refused, in bytes. Default 64 MiB: a full disk is fatal to
   * a store, and has crashed LMDB. An urgent one needs a quarter of it.
   */
  readonly minFreeBytes?: number | undefined;
  /**
   * Reads beside a running server: takes no ownership, creates nothing, commits nothing, and `tail` shows no commits of
   * that server. Default false.
   */
  readonly readOnly?: boolean | undefined;
}

const DEFAULT_MIN_FREE_BYTES = 64 * 2 ** 20;

/** Opens the store in a data directory, and owns that directory until closed. */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<OrStoreProblem<Store>> {
  const path = resolve(options.path);
  const readOnly = options.readOnly ?? false;
  try {
    const created = readOnly ? undefined : await createDirectories(path);
    if (!(await stat(path)).isDirectory()) return toStoreProblem(path, { code: "ENOTDIR" });
    const claim = readOnly ? undefined : await claimDirectory(path, options.clock ?? systemClock);
    if (isStoreProblem(claim)) return claim;
    const release = async () => claim?.release();
    const store = await openClaimed(path, created, options, claim?.gate, release).catch((cause) =>
      toStoreProblem(path, cause),
    );
    if (isStoreProblem(store)) await release();
    return store;
  } catch (cause) {
    return toStoreProblem(path, cause);
  }
}

async function openClaimed(
  path: string,
  firstCreated: string | undefined,
  options: LmdbStoreOptions,
  gate: WriteGate | undefined,
  release: () => Promise<void>,
): Promise<OrStoreProblem<Store>> {
  const readOnly = options.readOnly ?? false;
  if (!readOnly) await removeLeftovers(path);
  const opened = await openLmdbTables(path, { readOnly, gate });
  if (isStoreProblem(opened)) return opened;
  const { tables, created } = opened;
  try {
    if (created) {
      await initializeTables(tables, randomUUID());
      await syncDirectories(path, firstCreated);
    }
    // Whose the names are is not known: whoever created them may have been killed before this.
    else if (!readOnly) await syncDirectory(path);
    if (!readOnly) await leaveBackup(tables);
    tables.refresh();
    // All of it, now: what cannot be read has to be known before anything is promised.
    const state = new StoreData(tables).state();
    const minFreeBytes = options.minFreeBytes ?? DEFAULT_MIN_FREE_BYTES;
    return new LogStore(tables, { ...resolveBounds(options), minFreeBytes, readOnly, release }, state);
  } catch (cause) {
    await tables.close();
    const problem = toStoreProblem(path, cause);
    return problem.kind === "unsupported" ? damaged(path, messageOf(cause), cause) : problem;
  }
}

/** The original of a backup may have gone on: what is committed here has to be of another epoch (S3). */
async function leaveBackup(tables: Tables): Promise<void> {
  if (new StoreData(tables).meta(META.backup) === undefined) return;
  await tables.transact(() => {
    putMeta(tables, META.epoch, randomUUID());
    tables.meta.remove(toTextKey(META.backup));
  });
}
