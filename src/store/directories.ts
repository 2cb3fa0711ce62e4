import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Creates a directory and those on the way to it. Gives the first that was created, undefined if it was there. Node's own
 * `recursive` never comes back where a parent exists and can have no directories, as in `/proc`.
 */
export async function createDirectories(path: string): Promise<string | undefined> {
  const missing: string[] = [];
  for (let directory = path; !(await exists(directory)); directory = dirname(directory)) missing.push(directory);
  for (const directory of missing.toReversed()) await createDirectory(directory);
  return missing.at(-1);
}

/** Another process may have been faster. */
async function createDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (cause) {
    const code = codeOf(cause);
    // Its parent is there: see above.
    if (code === "ENOENT") throw new Error(`${dirname(path)} can have no directories`, { cause });
    if (code !== "EEXIST" || !(await stat(path)).isDirectory()) throw cause;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return false;
    throw cause;
  }
}

/**
 * Makes the names in a directory durable, and its own and those of the directories that were made on the way to it: LMDB
 * syncs its file, but not the name of the file.
 */
export async function syncDirectories(path: string, firstCreated: string | undefined): Promise<void> {
  const last = dirname(firstCreated ?? path);
  for (let directory = path; ; directory = dirname(directory)) {
    await syncDirectory(directory);
    if (directory === last || directory === dirname(directory)) return;
  }
}

export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory, and does not need to.
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function codeOf(cause: unknown): unknown {
  return typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
}
