import type { OutputStream } from "../cli-io.js";

/** Tells a person at a terminal how far something long is. */
export interface Progress {
  show(text: string): void;
  /** Takes the line away. */
  clear(): void;
}

/** One line on standard error that is written over; nothing at all where that is no terminal. */
export function createProgress(stderr: OutputStream): Progress {
  if (!stderr.isTTY) return { show() {}, clear() {} };
  let shown = "";
  return {
    show(text) {
      if (text === shown) return;
      shown = text;
      stderr.write(`\r\u001b[K${text}`);
    },
    clear() {
      if (shown !== "") stderr.write("\r\u001b[K");
      shown = "";
    },
  };
}
