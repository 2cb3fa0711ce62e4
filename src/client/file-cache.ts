import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { MirrorCache } from "./cache.js";

/** Whose snapshot a file keeps. */
export interface KeptFrom {
  /** The server's, as its transport names it. */
  readonly address: string;
  readonly environment: string;
}

/**
 * Keeps the snapshot of one environment of one server in a file: a line of text with a checksum, then the bytes. The file
 * is replaced by renaming, so a reader sees the old or the new one. Only its owner may read it: it may name users.
 */
export function createFileCache(path: string, from: KeptFrom): MirrorCache {
  const file = resolve(path);
  return {
    async load() {
      const content = await readIfExists(file);
      return content === undefined ? undefined : parseContent(content, from);
    },
    async save(bytes) {
      await mkdir(dirname(file), { recursive: true });
      const temporary = `${file}.${randomUUID()}.tmp`;
      try {
        await writeDurably(temporary, [headerLine(from, bytes), bytes]);
        await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      // Litter is no reason to call the snapshot not saved.
      await removeAbandoned(file).catch(() => {});
    },
  };
}

const FORMAT_VERSION = "2";
const LINE_FEED = 0x0a;
/** A header is shorter: a fixed text, a name of at most 128 characters, an address, 64 digits. */
const MAX_HEADER_BYTES = 4_096;

function headerLine({ address, environment }: KeptFrom, bytes: Uint8Array): Buffer {
  const words = ["flagwire-mirror", FORMAT_VERSION, encodeURIComponent(address), environment, sha256(bytes)];
  return Buffer.from(`${words.join(" ")}\n`, "utf8");
}

function parseContent(content: Buffer, from: KeptFrom): Uint8Array {
  const lineEnd = content.subarray(0, MAX_HEADER_BYTES).indexOf(LINE_FEED);
  const header = content.toString("utf8", 0, Math.max(0, lineEnd));
  const [format, version, address = "", environment, checksum] = header.split(" ");
  if (format !== "flagwire-mirror") throw new Error("it is not a mirror's cache");
  if (version !== FORMAT_VERSION) {
    throw new Error(`its format is version ${version}, and this version knows ${FORMAT_VERSION}`);
  }
  if (address !== encodeURIComponent(from.address)) {
    throw new Error(`it is of the server ${decodeURIComponent(address)}, not ${from.address}`);
  }
  if (environment !== from.environment) {
    throw new Error(`it is of environment ${environment}, not ${from.environment}`);
  }
  const bytes = content.subarray(lineEnd + 1);
  if (sha256(bytes) !== checksum) throw new Error("its checksum does not match");
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readIfExists(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Without the sync, a crash of the machine could leave the new name with no content. */
async function writeDurably(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const TEMPORARY_SUFFIX = /^\.[0-9a-f-]{36}\.tmp$/;
/** So much older than what was just saved, a temporary file has nobody who still writes it: another process may be saving. */
const ABANDONED_AFTER_MS = 60_000;

/** Removes the temporary files of this file that processes left behind when they were killed while saving. */
async function removeAbandoned(file: string): Promise<void> {
  const { mtimeMs: savedAtMs } = await stat(file);
  const name = basename(file);
  for (const other of await readdir(dirname(file))) {
    if (!other.startsWith(name) || !TEMPORARY_SUFFIX.test(other.slice(name.length))) continue;
    const temporary = join(dirname(file), other);
    const { mtimeMs } = await stat(temporary);
    if (savedAtMs - mtimeMs > ABANDONED_AFTER_MS) await rm(temporary, { force: true });
  }
}
