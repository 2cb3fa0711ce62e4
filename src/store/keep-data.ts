import { constants, copyFile, link, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/index.js";
import { dataFilePath } from "./data-file.js";
import { codeOf, syncDirectory } from "./directories.js";
import { checkSpace, partialPath } from "./staged-copy.js";
import { isStoreProblem, type OrStoreProblem } from "./store-problem.js";

/**
 * Gives the data of a directory that this process has claimed a second name, in a directory of its own within that one,
 * before the first name is taken from it. Gives the path of the new directory.
 */
export async function keepData(path: string, clock: Clock): Promise<OrStoreProblem<string>> {
  const time = new Date(clock.now()).toISOString().replaceAll(/[-:.]/g, "");
  const replaced = join(path, `replaced-${time}`);
  // Under a name that tells that it may not be whole.
  const partial = partialPath(path);
  try {
    await mkdir(partial);
    const problem = await linkOrCopy(path, partial);
    if (isStoreProblem(problem)) return problem;
    await syncDirectory(partial);
    await rename(partial, replaced);
    await syncDirectory(path);
    return replaced;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** LMDB's own lock goes with its file: somebody who is still reading the old one must not be taken for a reader of the new. */
export async function keepLock(path: string, replaced: string): Promise<void> {
  await rename(lockFilePath(path), lockFilePath(replaced)).catch((cause: unknown) => {
    if (codeOf(cause) !== "ENOENT") throw cause;
  });
}

/** Removes a lock that is not of the data beside it. */
export function removeLock(path: string): Promise<void> {
  return rm(lockFilePath(path), { force: true });
}

/** What file systems without hard links answer. */
const NO_LINKS = new Set<unknown>(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EACCES"]);

async function linkOrCopy(path: string, to: string): Promise<OrStoreProblem<undefined>> {
  try {
    await link(dataFilePath(path), dataFilePath(to));
    return undefined;
  } catch (cause) {
    if (!NO_LINKS.has(codeOf(cause))) throw cause;
  }
  const { size } = await stat(dataFilePath(path));
  return (await checkSpace(path, size)) ?? (await copyDurably(dataFilePath(path), dataFilePath(to)));
}

async function copyDurably(from: string, to: string): Promise<undefined> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function lockFilePath(path: string): string {
  return join(path, "lock.mdb");
}
