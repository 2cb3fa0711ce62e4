export type { WindowBounds } from "./live-log.js";
export { type LmdbStoreOptions, openLmdbStore } from "./open-lmdb-store.js";
export { type MemoryStoreOptions, openMemoryStore } from "./open-memory-store.js";
export * from "./record.js";
export * from "./store.js";
export type { BoundsOptions } from "./store-options.js";
export { isStoreProblem, type OrStoreProblem, StoreProblem, type StoreProblemKind } from "./store-problem.js";
export { type VerifyReport, verifyStore } from "./verify-store.js";
export type { HistoryBounds } from "./write-commit.js";
