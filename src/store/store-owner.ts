import { type PackedTransaction, unpackTransaction } from "./packed-transaction.js";
import type { CommitResult, HistoryEdges, Store, StoreFailure } from "./store.js";

/** The one process that writes a data directory, as those see it that follow it. See `openFollowerStore`. */
export interface StoreOwner {
  /** As Store.commit. What it answers with has been told to all followers before it resolves, and is seen by all. */
  commit(transaction: PackedTransaction): Promise<CommitResult>;
  /** See Store.seenByAll. */
  seenByAll(revision: bigint): Promise<void>;
  /**
   * Tells which revisions are kept and durable: those of now at once, where they are known, then whenever they have moved, in
   * order. Gives what ends it.
   */
  follow(listener: (edges: HistoryEdges) => void): () => void;
  /** As Store.failed. */
  readonly failed: Promise<StoreFailure>;
}

/**
 * Shares a store with followers. Whoever commits to it does so through here, or its followers do not hear of it. `seenByAll`
 * knows how far they are.
 */
export function createStoreOwner(store: Store, seenByAll: StoreOwner["seenByAll"]): StoreOwner {
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
      const revision = answeredRevision(result);
      if (revision !== undefined) await seenByAll(revision);
      return result;
    },
    seenByAll,
    follow(listener) {
      listeners.add(listener);
      listener(told);
      return () => listeners.delete(listener);
    },
    failed: store.failed,
  };
}

/** The revision that a write is answered with; undefined where there is nothing to see of it. */
function answeredRevision(result: CommitResult): bigint | undefined {
  switch (result.kind) {
    case "committed":
    case "unchanged":
      return result.revision;
    case "repeated":
      return result.write.revision;
    default:
      return undefined;
  }
}
