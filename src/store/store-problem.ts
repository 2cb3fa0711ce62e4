import { constants } from "node:os";

/**
 * Why a data directory cannot be used.
 *
 * - `in-use`: another process owns it.
 * - `occupied`: it holds something, and must not.
 * - `not-found`: it does not exist, or holds no data (only where it is not to be created).
 * - `not-a-directory`: it, or something on the way to it, is a file.
 * - `no-permission`: this user may not read or write it.
 * - `no-space`: the disk is full, or a quota is used up.
 * - `other-format`: it was written by another version, or by another program.
 * - `damaged`: what it holds cannot be read.
 * - `unsupported`: the file system or the operating system cannot do what the store needs.
 */
export type StoreProblemKind =
  | "in-use"
  | "occupied"
  | "not-found"
  | "not-a-directory"
  | "no-permission"
  | "no-space"
  | "other-format"
  | "damaged"
  | "unsupported";

/** Why a data directory cannot be used. A value, not an exception. */
export class StoreProblem {
  constructor(
    /** Stable. */
    readonly kind: StoreProblemKind,
    /** What is wrong and what to do next, for people; names the directory. */
    readonly message: string,
    /** What was thrown underneath, for logs. */
    readonly cause?: unknown,
  ) {}
}

/** A value, or why there is none. */
export type OrStoreProblem<T> = T | StoreProblem;

export function isStoreProblem(value: unknown): value is StoreProblem {
  return value instanceof StoreProblem;
}

/** A directory whose content cannot be trusted. `detail` says what was found, as a clause. */
export function damaged(path: string, detail: string, cause?: unknown): StoreProblem {
  return new StoreProblem(
    "damaged",
    `${path} is damaged: ${detail}. Keep it for examination and restore a backup into another directory.`,
    cause,
  );
}

/** The one place that translates what the operating system and LMDB throw. */
export function toStoreProblem(path: string, cause: unknown): StoreProblem {
  const text = messageOf(cause);
  const code = errorCode(cause);
  switch (code) {
    case "ENOENT":
      return new StoreProblem("not-found", `${path} holds no data: check the path.`, cause);
    case "ENOTDIR":
    case "EEXIST":
      return new StoreProblem(
        "not-a-directory",
        `${path} is not a directory: choose another path, or move that file away.`,
        cause,
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new StoreProblem(
        "no-permission",
        `${path} cannot be read and written by this user (${code}): change its owner or its permissions.`,
        cause,
      );
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new StoreProblem(
        "no-space",
        `there is no space left for ${path} (${code}): free some and try again.`,
        cause,
      );
  }
  if (code?.startsWith("MDB_")) return damaged(path, text, cause);
  return new StoreProblem("unsupported", `${path} cannot be used: ${text}.`, cause);
}

/** The symbolic code of an error: Node gives it as a string, LMDB as a number of its own or of the operating system. */
function errorCode(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  const { code } = cause;
  if (typeof code === "string") return code;
  if (typeof code !== "number") return undefined;
  // LMDB's own codes are -30,799 to -30,769.
  if (code <= -30_700) return "MDB_ERROR";
  for (const [name, value] of Object.entries(constants.errno)) if (value === Math.abs(code)) return name;
  return undefined;
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
