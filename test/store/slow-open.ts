import { execFileSync, spawnSync } from "node:child_process";
import { join, resolve } from "node:path";

const SOURCE = resolve(import.meta.dirname, "slow-open.c");

/** As the store maps its file: see LMDB_OPTIONS. */
const MAP_BYTES = 4 * 2 ** 30;

/** Whether `slowOpen` can be had here: it needs Linux, where libraries can be preloaded, and a C compiler. */
export function canSlowOpens(): boolean {
  return process.platform === "linux" && spawnSync("cc", ["--version"]).status === 0;
}

/** When a process that is stopped goes on: after so long, and when a file is gone. */
export interface SlowOpenOptions {
  readonly delayMs?: number;
  readonly whilePresent?: string;
}

/**
 * Compiles the shim into `folder`. Gives what to start a process with so that it stops whenever it opens a store, at the
 * worst moment, and prints `{"opening":true}` before.
 */
export function slowOpen(folder: string, { delayMs = 0, whilePresent = "" }: SlowOpenOptions): NodeJS.ProcessEnv {
  const library = join(folder, "slow-open.so");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Wno-unused-result", "-o", library, SOURCE, "-ldl"]);
  return {
    LD_PRELOAD: library,
    SLOW_OPEN_BYTES: String(MAP_BYTES),
    SLOW_OPEN_MS: String(delayMs),
    SLOW_OPEN_WHILE: whilePresent,
  };
}
