import { appendFile, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { damaged, type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";

/** The file that LMDB keeps all its pages in. */
export function dataFilePath(directory: string): string {
  return join(directory, "data.mdb");
}

// The first page of lmdb-js 3's fork of LMDB ("data v2"): a page header of 24 bytes, then its meta structure.
const FLAGS_OFFSET = 18;
const META_PAGE_FLAG = 0x08;
const MAGIC_OFFSET = 24;
const MAGIC = 0xbeefc0de;
const VERSION_OFFSET = 28;
const DATA_VERSION = 2;
const PAGE_SIZE_OFFSET = 48;
const HEADER_BYTES = 64;

/**
 * Looks at the data file before LMDB does: lmdb-js ends the process with a segmentation fault if the file is not one of
 * its own. LMDB holds no lock on this file, so reading it is harmless even while it is open here. An empty file is absent:
 * its creation was interrupted.
 */
export async function checkDataFile(directory: string): Promise<OrStoreProblem<"absent" | "present">> {
  const path = dataFilePath(directory);
  const header = Buffer.alloc(HEADER_BYTES);
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      if (size === 0) return "absent";
      await file.read(header, 0, HEADER_BYTES, 0);
      return checkHeader(directory, header, size);
    } finally {
      await file.close();
    }
  } catch (cause) {
    const problem = toStoreProblem(directory, cause);
    return problem.kind === "not-found" ? "absent" : problem;
  }
}

function checkHeader(directory: string, header: Buffer, sizeBytes: number): OrStoreProblem<"present"> {
  const isMeta = (header.readUInt16LE(FLAGS_OFFSET) & META_PAGE_FLAG) !== 0;
  if (!isMeta || header.readUInt32LE(MAGIC_OFFSET) !== MAGIC) {
    return damaged(directory, "data.mdb is not a database of this program, or its beginning is lost");
  }
  const version = header.readUInt32LE(VERSION_OFFSET) & 0xffff;
  if (version !== DATA_VERSION) return otherFormat(directory, `database version ${version}`, `version ${DATA_VERSION}`);
  if (sizeBytes < 2 * header.readUInt32LE(PAGE_SIZE_OFFSET)) {
    return damaged(directory, `data.mdb has only ${sizeBytes} bytes`);
  }
  return "present";
}

/** A directory that another version wrote. */
export function otherFormat(directory: string, found: string, expected: string): StoreProblem {
  return new StoreProblem(
    "other-format",
    `${directory} holds ${found}, and this program reads ${expected}: open it with the version that wrote it, export there and import here.`,
  );
}

/**
 * Lengthens the data file to `sizeBytes` with zeros; true if it was shorter. LMDB maps it into memory, and reading a
 * missing page of a truncated file would end the process with SIGBUS; a page of zeros is an ordinary error. A sound file
 * may be short by pages that hold nothing. Appending never overwrites what another process writes meanwhile.
 */
export async function padDataFile(directory: string, sizeBytes: number): Promise<boolean> {
  const path = dataFilePath(directory);
  let missing = sizeBytes - (await stat(path)).size;
  if (missing <= 0) return false;
  const zeros = Buffer.alloc(Math.min(missing, 2 ** 20));
  for (; missing > 0; missing -= zeros.length)
    await appendFile(path, zeros.subarray(0, Math.min(zeros.length, missing)));
  return true;
}
