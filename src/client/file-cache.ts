import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { MirrorCache } from "./cache.js";

/**
 * Keeps the snapshot of one environment in a file: a line of text with a checksum, then the bytes. The file is replaced
 * by renaming, so a reader sees the old or the new one. Only its owner may read it: it may name users.
 */
export function createFileCache(path: string, environment: string): MirrorCache {
  const file = resolve(path);
  return {
    async load() {
      const content = await readIfExists(file);
      return content === undefined ? undefined : parseContent(content, environment);
    },
    async save(bytes) {
      await mkdir(dirname(file), { recursive: true });
      const temporary = `${file}.${randomUUID()}.tmp`;
      try {
        await writeDurably(temporary, [headerLine(environment, bytes), bytes]);
        await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}

const LINE_FEED = 0x0a;
/** A header is shorter: a fixed text, an environment's name of at most 128 characters, 64 digits. */
const MAX_HEADER_BYTES = 256;

function headerLine(environment: string, bytes: Uint8Array): Buffer {
  return Buffer.from(`flagwire-mirror 1 ${environment} ${sha256(bytes)}\n`, "utf8");
}

function parseContent(content: Buffer, environment: string): Uint8Array {
  const lineEnd = content.subarray(0, MAX_HEADER_BYTES).indexOf(LINE_FEED);
  const [format, version, keptEnvironment, checksum] = content.toString("utf8", 0, Math.max(0, lineEnd)).split(" ");
  if (format !== "flagwire-mirror") throw new Error("it is not a mirror's cache");
  if (version !== "1") throw new Error(`its format is version ${version}, and this version knows 1`);
  if (keptEnvironment !== environment) throw new Error(`it is of environment ${keptEnvironment}, not ${environment}`);
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
