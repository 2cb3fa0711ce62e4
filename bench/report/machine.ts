import { statfsSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";

/** Where and when figures were measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  /** Of the directory that the data directories are made in. */
  readonly fileSystem: string;
  /** RFC 3339. */
  readonly date: string;
  /** Runnable processes over the minute before the start. Figures of a busy machine are noise. */
  readonly loadAverage: number;
}

export function describeMachine(dataRoot: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    fileSystem: fileSystemOf(dataRoot),
    date: new Date().toISOString(),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** Decides what a durable write costs: on tmpfs, nothing. Numbers from Linux's `statfs(2)`. */
const fileSystems = new Map([
  [0xef53, "ext4"],
  [0x01021994, "tmpfs (a durable write costs nothing here)"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
]);

function fileSystemOf(path: string): string {
  const { type } = statfsSync(path);
  return fileSystems.get(type) ?? `type 0x${type.toString(16)}`;
}
