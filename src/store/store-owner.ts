import { type PackedTransaction, unpackTransaction } from "./packed-transaction.js";
import type { CommitResult, HistoryEdges, Store, StoreFailure } from "./store.js";

/** The one process that writes a data directory, as those see it that follow it. See `openFollowerStore`. */
export interface StoreOwner {
  /** As Store.commit. What it made durable has been told to all followers before it resolves. */
  commit(transaction: PackedTransaction): Promise<CommitResult>;
  /**
   * Tells which revisions are kept and durable: those of now at once, where they are known, then whenever they have moved, in
   * order. Gives what ends it.
   */
  follow(listener: (edges: HistoryEdges) => void): () => void;
  /** As Store.failed. */
  readonly failed: Promise<StoreFailure>;
}

/** Shares a store with followers. Whoever commits to it does so through here, or its followers do not hear of it. */
export function createStoreOwner(store: Store): StoreOwner {
  const listeners = new Set<(edges: HistoryEdges) => void>();
  let told = store.edges();
  const tell = (): void => {
    const edges = store.edges();
    if (edges.newest === told.newest) return;
    told = edges;
    for (const listener of listeners) listener(edges);
  };
  return {
    async commit(transaction) {
      const result = await store.commit(unpackTransaction(transaction));
      tell();
      return result;
    },
    follow(listener) {
      listeners.add(listener);
      listener(told);
      return () => listeners.delete(listener);
    },
    failed: store.failed,
  };
}
