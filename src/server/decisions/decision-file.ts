import { type FileHandle, open, stat } from "node:fs/promises";
import { type Decision, toLine } from "./decision.js";
import type { DecisionSink } from "./decision-log.js";

/** Contexts may be about persons. */
const MODE = 0o600;

/**
 * A file that lines are added to: one write for each batch, at its end, so that several processes may share it. A file that was moved
 * or removed, as programs that rotate logs do, is left alone and a new one begun under the name.
 */
export class DecisionFile implements DecisionSink {
  readonly #path: string;
  #file: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async write(decisions: readonly Decision[]): Promise<void> {
    const file = await this.#current();
    await file.appendFile(decisions.map((decision) => `${toLine(decision)}\n`).join(""));
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
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
