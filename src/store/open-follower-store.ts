import { resolve } from "node:path";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { checkTransaction } from "./commit-plan.js";
import { openLmdbTables } from "./lmdb-tables.js";
import { LogStore } from "./log-store.js";
import { packTransaction } from "./packed-transaction.js";
import type {
  CommitResult,
  HistoryEdges,
  HistoryOutline,
  IdempotentWrite,
  Store,
  StoreFailure,
  StoreState,
  Transaction,
} from "./store.js";
import { resolveBounds } from "./store-options.js";
import type { StoreOwner } from "./store-owner.js";
import { isStoreProblem, type OrStoreProblem, toStoreProblem } from "./store-problem.js";

export interface FollowerStoreOptions {
  /** The data directory that the owner serves. */
  readonly path: string;
  readonly owner: StoreOwner;
}

/**
 * A store of a process that does not own the data directory: it reads there, beside the owner, and lets the owner write.
 * What the owner tells moves it, and is only where history stands: the entries come from the directory, so that none can be
 * lost, twice or out of order on the way. It must not be opened in the owner's own process.
 */
export async function openFollowerStore(options: FollowerStoreOptions): Promise<OrStoreProblem<Store>> {
  const path = resolve(options.path);
  const opened = await openLmdbTables(path, { readOnly: true });
  if (isStoreProblem(opened)) return opened;
  const { tables } = opened;
  try {
    tables.refresh();
    const release = async () => undefined;
    const replica = new LogStore(tables, { ...resolveBounds({}), minFreeBytes: 0, readOnly: true, release });
    return new FollowerStore(replica, options.owner);
  } catch (cause) {
    await tables.close();
    return toStoreProblem(path, cause);
  }
}

class FollowerStore implements Store {
  readonly failed: Promise<StoreFailure>;
  readonly side = undefined;
  readonly #replica: LogStore;
  readonly #owner: StoreOwner;
  readonly #unfollow: () => void;
  readonly #accepted = new Set<Promise<CommitResult>>();
  #closing: Promise<void> | undefined;

  constructor(replica: LogStore, owner: StoreOwner) {
    this.#replica = replica;
    this.#owner = owner;
    this.failed = owner.failed;
    this.#unfollow = owner.follow((edges) => replica.move(edges));
  }

  get epoch(): string {
    return this.#replica.epoch;
  }

  load(): Promise<StoreState> {
    return this.#replica.load();
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    checkTransaction(transaction);
    if (this.#closing) return { kind: "unavailable", uncertain: false, message: "the store is closed" };
    const accepted = this.#owner.commit(packTransaction(transaction));
    this.#accepted.add(accepted);
    try {
      return await accepted;
    } finally {
      this.#accepted.delete(accepted);
    }
  }

  tail(revision: bigint, signal: AbortSignal): AsyncIterable<HistoryEntry> {
    return this.#replica.tail(revision, signal);
  }

  history(before?: bigint): AsyncIterable<HistoryEntry> {
    return this.#replica.history(before);
  }

  outlines(before?: bigint): AsyncIterable<HistoryOutline> {
    return this.#replica.outlines(before);
  }

  edges(): HistoryEdges {
    return this.#replica.edges();
  }

  findIdempotent(key: string): Promise<IdempotentWrite | undefined> {
    return this.#replica.findIdempotent(key);
  }

  seenByAll(revision: bigint): Promise<void> {
    return this.#owner.seenByAll(revision);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#accepted);
    this.#unfollow();
    await this.#replica.close();
  }
}
