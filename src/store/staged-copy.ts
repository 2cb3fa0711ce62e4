import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { BEGUN_CLAIM_NAME, CLAIM_NAME } from "./claim-socket.js";
import { COPY_RESERVE_BYTES, type CopyIdentity, copyTables, digestTables } from "./copy-tables.js";
import { dataFilePath } from "./data-file.js";
import { openLmdbTables } from "./lmdb-tables.js";
import { readStore } from "./read-store.js";
import { damaged, isStoreProblem, type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";
import type { TablesSnapshot } from "./tables.js";

/** A whole copy of a store, on disk, that is not in its place yet. */
export interface StagedCopy {
  /** A data directory of its own, within the one that it is for: on the same file system. */
  readonly path: string;
  /** Puts it into its place in one step: whoever looks finds what was there before, or all of it. */
  place(): Promise<void>;
  /** Removes what is not in its place. */
  discard(): Promise<void>;
}

const PARTIAL_NAME = /^partial-[0-9a-f]{32}$/;
export const REPLACED_NAME = /^replaced-\d{8}T\d{9}Z$/;

/** The copy may fill its pages less well than the original. */
const SIZE_MARGIN = 1.25;

/** Copies a store into a directory that this process has claimed, and reads it back. Throws what reading `source` throws. */
export async function stageCopy(
  directory: string,
  source: TablesSnapshot,
  identity: CopyIdentity,
  signal: AbortSignal | undefined,
): Promise<OrStoreProblem<StagedCopy>> {
  const path = partialPath(directory);
  const discard = () => rm(path, { recursive: true, force: true });
  try {
    const tooSmall = await checkSpace(directory, Math.ceil(source.sizeBytes * SIZE_MARGIN));
    if (tooSmall) return tooSmall;
    await mkdir(path);
    const written = await copyInto(path, source, identity, signal);
    const read = isStoreProblem(written)
      ? written
      : await readStore(path, signal, (copy) => digestTables(copy, signal));
    if (read === written && !isStoreProblem(read)) {
      return { path, discard, place: () => rename(dataFilePath(path), dataFilePath(directory)) };
    }
    await discard();
    return isStoreProblem(read) ? read : damaged(directory, "what was copied there reads differently");
  } catch (cause) {
    await discard();
    signal?.throwIfAborted();
    const problem = toStoreProblem(directory, cause);
    // What is wrong with pages is wrong with those of the original: the copy's are new.
    if (problem.kind === "damaged" || problem.kind === "unsupported") throw cause;
    return problem;
  }
}

async function copyInto(
  path: string,
  source: TablesSnapshot,
  identity: CopyIdentity,
  signal: AbortSignal | undefined,
): Promise<OrStoreProblem<string>> {
  const opened = await openLmdbTables(path, { readOnly: false });
  if (isStoreProblem(opened)) return opened;
  try {
    return await copyTables(source, opened.tables, identity, signal);
  } finally {
    await opened.tables.close();
  }
}

/** A new name for something that may never be whole: see `removeLeftovers`. */
export function partialPath(directory: string): string {
  return join(directory, `partial-${randomBytes(16).toString("hex")}`);
}

/** Undefined: there is room for a copy of `sizeBytes`. */
export async function checkSpace(directory: string, sizeBytes: number): Promise<StoreProblem | undefined> {
  const { bavail, bsize } = await statfs(directory);
  const freeBytes = bavail * bsize;
  const neededBytes = sizeBytes + COPY_RESERVE_BYTES;
  if (freeBytes >= neededBytes) return undefined;
  return new StoreProblem(
    "no-space",
    `there is too little space for ${directory}: a copy needs ${toMebibytes(neededBytes)}, and ${toMebibytes(freeBytes)} are free. Free some and try again.`,
  );
}

function toMebibytes(sizeBytes: number): string {
  return `${Math.ceil(sizeBytes / 2 ** 20)} MiB`;
}

/**
 * Removes what copies left that were cut short, in a directory that this process has claimed; also a second name that
 * restoring gave to data which then stayed in its place. What cannot be removed only takes space.
 */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const isLeft = PARTIAL_NAME.test(name) || (REPLACED_NAME.test(name) && (await isSecondName(directory, path)));
    if (isLeft) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Whether `name` is all that a directory holds because of copies that were cut short, and of claims. */
export function isLeftover(name: string): boolean {
  return PARTIAL_NAME.test(name) || CLAIM_NAME.test(name) || BEGUN_CLAIM_NAME.test(name);
}

async function isSecondName(directory: string, replaced: string): Promise<boolean> {
  try {
    const [current, kept] = await Promise.all([stat(dataFilePath(directory)), stat(dataFilePath(replaced))]);
    return current.ino === kept.ino && current.dev === kept.dev;
  } catch {
    return false;
  }
}
