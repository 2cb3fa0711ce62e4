import { randomUUID } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type Clock, systemClock } from "../base/index.js";
import { unsound } from "./back-up-store.js";
import { checkDataFile } from "./data-file.js";
import { codeOf, createDirectories, syncDirectories } from "./directories.js";
import { claimDirectory, type DirectoryClaim } from "./directory-claim.js";
import { keepData, keepLock, removeLock } from "./keep-data.js";
import { readStore } from "./read-store.js";
import { removeLeftovers, stageCopy } from "./staged-copy.js";
import { isStoreProblem, type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";
import type { TablesSnapshot } from "./tables.js";
import { type VerifyReport, verifyTables } from "./verify-store.js";

export interface RestoreOptions {
  /** A backup, or any data directory. It is only read. */
  readonly from: string;
  /** The data directory to fill: missing, or one that nobody uses. */
  readonly path: string;
  /** Whether `path` may hold data; that is kept beside the new. Default false. */
  readonly replace?: boolean | undefined;
  /** Checks everything, and changes nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Aborting it makes the promise reject, and leaves everything as it was. */
  readonly signal?: AbortSignal | undefined;
}

export interface RestoreReport {
  /** What was restored, as it is in the backup. */
  readonly source: VerifyReport;
  /** Of the restored store; undefined in a dry run. */
  readonly epoch: string | undefined;
  /** Where the data is kept that was there before. In a dry run: the directory that holds data to be replaced. */
  readonly replaced: string | undefined;
}

/**
 * Fills a data directory with what a backup holds: the same revisions, history and idempotency keys, but a new epoch, so
 * that no mirror goes on from a position that never was here. Killed at any moment, the directory holds either what it
 * held before or all of the backup.
 */
export async function restoreStore(options: RestoreOptions): Promise<OrStoreProblem<RestoreReport>> {
  const { from, signal, dryRun = false } = options;
  const path = resolve(options.path);
  try {
    if (await isSameDirectory(from, path)) {
      return new StoreProblem(
        "occupied",
        `${path} cannot be restored from itself: name a backup in another directory.`,
      );
    }
    return await readStore(from, signal, async (snapshot) => {
      const source = await verifyTables(snapshot, signal);
      if (source.problemCount > 0) return unsound(from, source);
      return dryRun ? rehearse(path, source, options) : restoreFrom(snapshot, path, source, options);
    });
  } catch (cause) {
    signal?.throwIfAborted();
    return toStoreProblem(path, cause);
  }
}

async function rehearse(
  path: string,
  source: VerifyReport,
  { replace = false, clock = systemClock }: RestoreOptions,
): Promise<OrStoreProblem<RestoreReport>> {
  const found = await entryOf(path);
  if (found === "file") return toStoreProblem(path, { code: "ENOTDIR" });
  if (found === "none") return { source, epoch: undefined, replaced: undefined };
  const claim = await claimDirectory(path, clock);
  if (isStoreProblem(claim)) return claim;
  await claim.release();
  const hasData = await holdsData(path);
  if (hasData && !replace) return occupied(path);
  return { source, epoch: undefined, replaced: hasData ? path : undefined };
}

async function restoreFrom(
  snapshot: TablesSnapshot,
  path: string,
  source: VerifyReport,
  { replace = false, clock = systemClock, signal }: RestoreOptions,
): Promise<OrStoreProblem<RestoreReport>> {
  const prepared = await prepare(path, clock);
  if (isStoreProblem(prepared)) return prepared;
  const { firstCreated, claim } = prepared;
  try {
    const hasData = await holdsData(path);
    if (hasData && !replace) return occupied(path);
    await removeLeftovers(path);
    const epoch = randomUUID();
    const staged = await stageCopy(path, snapshot, { epoch, backupTime: undefined }, signal);
    if (isStoreProblem(staged)) return staged;
    try {
      const replaced = hasData ? await keepData(path, clock) : undefined;
      if (isStoreProblem(replaced)) return replaced;
      // Nobody opens the directory meanwhile, who would take the lock of the one data for that of the other.
      await claim.gate.write(async () => {
        if (replaced !== undefined) await keepLock(path, replaced);
        await staged.place();
        if (replaced !== undefined) await removeLock(path);
      });
      await syncDirectories(path, firstCreated);
      return { source, epoch, replaced };
    } finally {
      await staged.discard();
    }
  } finally {
    await claim.release();
  }
}

interface Prepared {
  readonly firstCreated: string | undefined;
  readonly claim: DirectoryClaim;
}

async function prepare(path: string, clock: Clock): Promise<OrStoreProblem<Prepared>> {
  try {
    const firstCreated = await createDirectories(path);
    if ((await entryOf(path)) === "file") return toStoreProblem(path, { code: "ENOTDIR" });
    const claim = await claimDirectory(path, clock);
    return isStoreProblem(claim) ? claim : { firstCreated, claim };
  } catch (cause) {
    return toStoreProblem(path, cause);
  }
}

/** Whatever is in the data file counts, also what cannot be read. */
async function holdsData(path: string): Promise<boolean> {
  return (await checkDataFile(path)) !== "absent";
}

function occupied(path: string): StoreProblem {
  return new StoreProblem(
    "occupied",
    `${path} holds data already: name another directory, or add --replace, which keeps that data beside the new.`,
  );
}

async function entryOf(path: string): Promise<"none" | "directory" | "file"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return "none";
    throw cause;
  }
}

async function isSameDirectory(from: string, path: string): Promise<boolean> {
  if ((await entryOf(from)) === "none" || (await entryOf(path)) === "none") return false;
  return (await realpath(from)) === (await realpath(path));
}
