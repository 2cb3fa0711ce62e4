import { Buffer } from "node:buffer";
import { type FileHandle, open, stat } from "node:fs/promises";
import { type Decision, toLine } from "./decision.js";
import type { DecisionSink } from "./decision-log.js";

/** Contexts may be about persons. */
const MODE = 0o600;
const LINE_END = 0x0a;

/**
 * A file that lines are added to: one write for each batch, at its end, so that several processes may share it. A file that was moved
 * or removed, as programs that rotate logs do, is left alone and a new one begun under the name. What a full disk has cut off in a
 * line's middle ends there.
 */
export class DecisionFile implements DecisionSink {
  readonly #path: string;
  #file: FileHandle | undefined;
  /** The last line was cut off. */
  #isTorn = false;

  constructor(path: string) {
    this.#path = path;
  }

  async write(decisions: readonly Decision[]): Promise<void> {
    const file = await this.#current();
    const lines = decisions.map((decision) => `${toLine(decision)}\n`).join("");
    const bytes = Buffer.from(this.#isTorn ? `\n${lines}` : lines);
    // Not `appendFile`, which writes what is long in parts: lines of others would come between.
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten > 0) this.#isTorn = bytes[bytesWritten - 1] !== LINE_END;
    if (bytesWritten < bytes.length) throw new Error(`only ${bytesWritten} of ${bytes.length} bytes could be written`);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#isTorn = false;
    await file?.close();
  }

  async #current(): Promise<FileHandle> {
    if (this.#file !== undefined && !(await this.#isCurrent(this.#file))) await this.close();
    this.#file ??= await open(this.#path, "a", MODE);
    return this.#file;
  }

  async #isCurrent(file: FileHandle): Promise<boolean> {
    try {
      const [named, held] = await Promise.all([stat(this.#path), file.stat()]);
      return named.ino === held.ino && named.dev === held.dev;
    } catch {
      return false;
    }
  }
}
