import { readdir, rmdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Clock, systemClock } from "../base/index.js";
import { dataFilePath } from "./data-file.js";
import { createDirectories, syncDirectories } from "./directories.js";
import { claimDirectory } from "./directory-claim.js";
import { readStore } from "./read-store.js";
import { isLeftover, removeLeftovers, type StagedCopy, stageCopy } from "./staged-copy.js";
import { META, StoreData } from "./store-data.js";
import { isStoreProblem, type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";
import { type VerifyReport, verifyStore } from "./verify-store.js";

export interface BackupOptions {
  /** The data directory to copy. A server may be running on it. */
  readonly from: string;
  /** The directory of the backup: missing or empty. */
  readonly to: string;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Aborting it makes the promise reject, and leaves nothing behind. */
  readonly signal?: AbortSignal | undefined;
}

/** What a backup holds. */
export interface BackupReport extends VerifyReport {
  /** Of its file, in bytes. */
  readonly sizeBytes: number;
}

/**
 * Copies a store as it is at one moment into a directory of its own, which then is a data directory of the same epoch. It
 * is one only when it is whole, on disk and verified.
 */
export async function backUpStore(options: BackupOptions): Promise<OrStoreProblem<BackupReport>> {
  const directory = resolve(options.to);
  let firstCreated: string | undefined;
  let result: OrStoreProblem<BackupReport> | undefined;
  try {
    firstCreated = await createDirectories(directory);
    if (!(await stat(directory)).isDirectory()) return toStoreProblem(directory, { code: "ENOTDIR" });
    result = await backUpInto(directory, firstCreated, options);
    return result;
  } catch (cause) {
    options.signal?.throwIfAborted();
    return toStoreProblem(directory, cause);
  } finally {
    const failed = result === undefined || isStoreProblem(result);
    if (failed && firstCreated !== undefined) await removeEmpty(directory, firstCreated);
  }
}

async function backUpInto(
  directory: string,
  firstCreated: string | undefined,
  options: BackupOptions,
): Promise<OrStoreProblem<BackupReport>> {
  const { signal, clock = systemClock } = options;
  const claim = await claimDirectory(directory, clock);
  if (isStoreProblem(claim)) return claim;
  let staged: OrStoreProblem<StagedCopy> | undefined;
  try {
    const occupied = await checkEmpty(directory);
    if (occupied) return occupied;
    await removeLeftovers(directory);
    const backupTime = new Date(clock.now()).toISOString();
    staged = await readStore(options.from, signal, (snapshot) => {
      const epoch = new StoreData(snapshot).meta(META.epoch) ?? "";
      return stageCopy(directory, snapshot, { epoch, backupTime }, signal);
    });
    if (isStoreProblem(staged)) return staged;
    const report = await verifyStore(staged.path, signal);
    if (isStoreProblem(report)) return report;
    if (report.problemCount > 0) return unsound(options.from, report);
    await staged.place();
    await staged.discard();
    await syncDirectories(directory, firstCreated);
    return { ...report, sizeBytes: (await stat(dataFilePath(directory))).size };
  } finally {
    if (staged && !isStoreProblem(staged)) await staged.discard();
    await claim.release();
  }
}

async function checkEmpty(directory: string): Promise<StoreProblem | undefined> {
  // The root of an ext4 file system is never quite empty.
  const found = (await readdir(directory)).find((name) => !isLeftover(name) && name !== "lost+found");
  if (found === undefined) return undefined;
  return new StoreProblem("occupied", `${directory} is not empty (it holds ${found}): name a new directory.`);
}

/** A store that is not worth copying as a whole. Where a copy was made, it has been checked, so the original is at fault. */
export function unsound(path: string, { problems, problemCount }: VerifyReport): StoreProblem {
  const more = problemCount > 1 ? ` and ${problemCount - 1} more` : "";
  return new StoreProblem(
    "damaged",
    `${path} is damaged: ${problems[0] ?? "unknown"}${more}. "flagwire verify" tells all, "flagwire dump" prints what can be read.`,
  );
}

/** Whatever else is in them by now stays. */
async function removeEmpty(directory: string, firstCreated: string): Promise<void> {
  try {
    for (let path = directory; ; path = dirname(path)) {
      await rmdir(path);
      if (path === firstCreated) return;
    }
  } catch {}
}
