import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join, resolve } from "node:path";

const SOURCE = resolve(import.meta.dirname, "bad-disk.c");

/** What the disk does. See bad-disk.c. */
export type DiskMode =
  | { readonly kind: "pass" }
  | { readonly kind: "slow"; readonly delayMs: number }
  | { readonly kind: "hold" }
  /** `count` 0: all from now on. */
  | { readonly kind: "fail-sync"; readonly code: "EIO" | "ENOSPC"; readonly count: number }
  | { readonly kind: "fail-write"; readonly code: "EIO" | "ENOSPC" };

/** A sync that succeeded, in the milliseconds of `now`. */
export interface Sync {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Whether `BadDisk` can be made here: it needs Linux, where libraries can be preloaded, and a C compiler. */
export function canSpoilDisks(): boolean {
  return process.platform === "linux" && spawnSync("cc", ["--version"]).status === 0;
}

/** A disk that does as it is told, for a process that is started with `env`. */
export class BadDisk {
  readonly #folder: string;
  readonly #data: string;

  /** Compiles the shim into `folder`; `data` need not be there yet. */
  constructor(folder: string, data: string) {
    mkdirSync(folder, { recursive: true });
    mkdirSync(data, { recursive: true });
    this.#folder = realpathSync(folder);
    this.#data = realpathSync(data);
    this.become({ kind: "pass" });
    execFileSync("cc", [
      "-shared",
      "-fPIC",
      "-O1",
      "-Wall",
      "-Wno-nonnull-compare",
      "-o",
      this.#file("shim.so"),
      SOURCE,
      "-ldl",
    ]);
  }

  get env(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: this.#file("shim.so"),
      BAD_DISK_DIRECTORY: this.#data,
      BAD_DISK_CONTROL: this.#file("control"),
      BAD_DISK_LOG: this.#file("log"),
    };
  }

  become(mode: DiskMode): void {
    writeFileSync(this.#file("control"), toLine(mode));
  }

  /** How many syncs have been held. */
  get held(): number {
    return this.#log().filter((line) => line === "held").length;
  }

  /** Those that succeeded. */
  get syncs(): readonly Sync[] {
    return this.#log().flatMap((line) => {
      const [start, end] = line.split(" ");
      return start === undefined || end === undefined
        ? []
        : [{ startedAt: Number(start) / 1e6, endedAt: Number(end) / 1e6 }];
    });
  }

  #log(): string[] {
    const path = this.#file("log");
    return existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}

function toLine(mode: DiskMode): string {
  switch (mode.kind) {
    case "slow":
      return `slow ${mode.delayMs}\n`;
    case "fail-sync":
      return `fail-sync ${constants.errno[mode.code]} ${mode.count}\n`;
    case "fail-write":
      return `fail-write ${constants.errno[mode.code]}\n`;
    default:
      return `${mode.kind}\n`;
  }
}
