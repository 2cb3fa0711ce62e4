import { openFilesLimit } from "../support/open-files.js";

/** How watchers share connections. */
export interface Layout {
  readonly name: string;
  readonly connections: number;
  /** On each connection. */
  readonly streams: number;
}

export const watcherCount = 10_000;

export const shared: Layout = { name: "100 connections of 100 streams", connections: 100, streams: 100 };
/** As mirrors do. */
export const apart: Layout = { name: "10,000 connections", connections: watcherCount, streams: 1 };

/** Whether a server may have a connection for each watcher, besides what else it needs. */
export function mayBeApart(): boolean {
  return openFilesLimit() >= watcherCount + 200;
}
