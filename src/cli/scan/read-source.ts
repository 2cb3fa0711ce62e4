import { type FileHandle, open } from "node:fs/promises";

/** What is larger is data, or made by a program. */
export const MAX_SOURCE_BYTES = 2_097_152;

/** A text has none of these in its first bytes. */
const BINARY_PROBE_BYTES = 8_000;

/** A file's text, or why it has none that is looked at. */
export type Source =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "binary" }
  | { readonly kind: "large" }
  | { readonly kind: "unreadable"; readonly error: Error };

/**
 * Makes a reader that reads one file after the other into the same memory. A character is a byte: that is quick, and keys
 * and quotes are ASCII, which no other character's bytes in UTF-8 look like.
 */
export function createSourceReader(): (path: string) => Promise<Source> {
  const buffer = Buffer.allocUnsafe(MAX_SOURCE_BYTES + 1);
  return async (path) => {
    let file: FileHandle | undefined;
    try {
      file = await open(path);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      if (length > MAX_SOURCE_BYTES) return { kind: "large" };
      if (buffer.subarray(0, Math.min(length, BINARY_PROBE_BYTES)).includes(0)) return { kind: "binary" };
      return { kind: "text", text: buffer.toString("latin1", 0, length) };
    } catch (error) {
      return { kind: "unreadable", error: error as Error };
    } finally {
      await file?.close();
    }
  };
}
