import { join } from "node:path";
import { type FoundKey, findKeys } from "./find-keys.js";
import { createSourceReader } from "./read-source.js";
import { walkFiles } from "./walk-files.js";

/** How to scan. */
export interface ScanOptions {
  readonly isKnown: (key: string) => boolean;
  /** Patterns as in a .gitignore, of what to leave out. */
  readonly exclude: readonly string[];
  readonly signal: AbortSignal;
  /** Told, for people, of what was not looked at although it may mention flags. */
  readonly onSkipped: (path: string, why: string) => void;
}

/** A file that was read, with the keys in it. */
export interface ScannedFile {
  /** Relative to the folder, with `/` between names. */
  readonly path: string;
  readonly found: readonly FoundKey[];
}

const withCalls = /\.(?:[cm]?[jt]sx?|vue|svelte|astro)$/i;

/** Reads the texts of a tree, one after the other, and finds the flags' keys in them. Throws when aborted: what was found by then is not all. */
export async function* scanTree(root: string, options: ScanOptions): AsyncGenerator<ScannedFile, void, undefined> {
  const { isKnown, exclude, signal, onSkipped } = options;
  const read = createSourceReader();
  const onUnreadable = (path: string, error: Error) => onSkipped(path || ".", `cannot be read: ${error.message}`);
  for await (const path of walkFiles(root, { exclude, onUnreadable })) {
    signal.throwIfAborted();
    const source = await read(join(root, path));
    switch (source.kind) {
      case "text":
        yield { path, found: findKeys(source.text, { isKnown, hasCalls: withCalls.test(path) }) };
        break;
      case "large":
        onSkipped(path, "is larger than 2 MiB");
        break;
      case "unreadable":
        onUnreadable(path, source.error);
        break;
      case "binary":
        break;
    }
  }
}
