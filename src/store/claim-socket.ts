import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

/** The socket of a claimant, in the directory that it claims. */
export const CLAIM_NAME = /^owner-[0-9a-f]{32}\.sock$/;
/** The same, before it listens. */
export const BEGUN_CLAIM_NAME = /^owner-[0-9a-f]{32}\.sock\.new$/;

/** Where the socket `name` is, in `directory`, which is open at `path`: it may have 107 bytes, and Linux has a short one. */
export function socketPath(path: string, directory: FileHandle, name: string): string {
  return `${process.platform === "linux" ? `/proc/self/fd/${directory.fd}` : path}/${name}`;
}

/** What stands for the sockets on Windows. */
export function pipePath(path: string): string {
  const digest = createHash("sha256").update(path.toLowerCase()).digest("hex");
  return `\\\\.\\pipe\\flagwire-${digest}`;
}
