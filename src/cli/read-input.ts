import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { usageFailure } from "./failure.js";

/**
 * The text of a file, or of standard input for `-`, without the byte order mark that it may begin with. `what` names the file
 * in a complaint.
 */
export async function readInput(path: string, stdin: Readable, what = "the file"): Promise<string> {
  return (path === "-" ? await text(stdin) : await readText(path, what)).replace(/^\ufeff/, "");
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw usageFailure(`${what} cannot be read: ${(error as Error).message}`);
  }
}
