import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { type Clock, invariant } from "../base/index.js";
import { type CommitPlan, checkTransaction, planCommit } from "./commit-plan.js";
import { encodeUnchanged, putUnchanged } from "./idempotency-keys.js";
import { type Acknowledged, LiveLog, type WindowBounds } from "./live-log.js";
import { OwnedSideTable } from "./side-table.js";
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
import { StoreUnavailable } from "./store.js";
import { decodeHistoryEntry, decodeOutlines, decodeTimeMs, META, StoreData } from "./store-data.js";
import { messageOf } from "./store-problem.js";
import type { Tables } from "./tables.js";
import { encodeCommit, type HistoryBounds, writeCommit } from "./write-commit.js";

export interface LogStoreOptions {
  readonly history: HistoryBounds;
  readonly window: WindowBounds;
  /** A commit that would leave less than this is refused. */
  readonly minFreeBytes: number;
  readonly readOnly: boolean;
  /** Tells how long a reader has kept others waiting. Default: the machine's. */
  readonly clock?: Clock;
  /** Runs last, after the tables were closed. */
  readonly release: () => Promise<void>;
}

/** Something was put. */
interface Written {
  readonly kind: "written";
  /** What it comes to once it is durable. */
  readonly answer: Extract<CommitResult, { kind: "committed" | "unchanged" }>;
  readonly sizeBytes: number;
}

/** What a transaction's run inside the tables came to. */
type Outcome =
  | Written
  | Exclude<CommitPlan, { kind: "write" | "remember" }>
  | Extract<CommitResult, { kind: "low-disk" | "unavailable" }>;

/** What is urgent is refused only where less than this part of the usual space would stay free. */
const URGENT_SHARE = 4;

/** A Store on ordered tables. */
export class LogStore implements Store {
  readonly epoch: string;
  readonly failed: Promise<StoreFailure>;
  readonly side: OwnedSideTable | undefined;
  readonly #options: LogStoreOptions;
  readonly #data: StoreData;
  readonly #log: LiveLog;
  readonly #resolveFailed: (failure: StoreFailure) => void;
  readonly #accepted = new Set<Promise<CommitResult>>();
  /** Written, in order, and not yet known to be durable. */
  #unacknowledged: Acknowledged[] = [];
  /** The size of what was put and may not be on disk yet, in bytes: the free space does not tell of it. */
  #pendingBytes = 0;
  /** The newest revision that was given out. */
  #assigned: bigint;
  /**
   * Set once a write was refused underneath. Nothing is acknowledged from then on: what a later write would find could
   * differ from what was promised.
   */
  #failure: StoreFailure | undefined;
  #closing: Promise<void> | undefined;
  /** The tables may not be touched any more. */
  #closed = false;
  /** What opening has read already, for the first `load`. */
  #opened: StoreState | undefined;

  /** `tables` hold a store of this format; `opened` is what they hold, if it was read. */
  constructor(tables: Tables, options: LogStoreOptions, opened?: StoreState) {
    this.#options = options;
    this.#data = new StoreData(tables);
    const epoch = this.#data.meta(META.epoch);
    invariant(epoch, "the store has no epoch");
    this.epoch = epoch;
    this.#assigned = this.#data.head;
    this.#opened = opened;
    this.#log = new LiveLog(this.#data.edges, options.window, (revision) => this.#read(revision), options.clock);
    let resolveFailed: (failure: StoreFailure) => void = () => undefined;
    this.failed = new Promise((resolve) => {
      resolveFailed = resolve;
    });
    this.#resolveFailed = resolveFailed;
    if (options.readOnly || tables.side === undefined) return;
    const { minFreeBytes } = options;
    const isWritable = () => !this.#closing && !this.#failure;
    const checkReadable = () => this.#checkReadable();
    // A disk that fails has failed for the log as well.
    const failed = (cause: unknown) => void this.#fail(cause);
    this.side = new OwnedSideTable({ tables, minFreeBytes, checkReadable, isWritable, failed }, tables.side);
  }

  async load(): Promise<StoreState> {
    this.#checkReadable();
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened?.revision === this.#assigned) return opened;
    try {
      this.#data.tables.refresh();
      return this.#data.state();
    } catch (cause) {
      throw new StoreUnavailable(`the store cannot be read: ${messageOf(cause)}`, { cause });
    }
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    checkTransaction(transaction);
    const refusal = this.#refusal();
    if (refusal) return refusal;
    const accepted = this.#commit(transaction);
    this.#accepted.add(accepted);
    try {
      return await accepted;
    } finally {
      this.#accepted.delete(accepted);
    }
  }

  tail(revision: bigint, signal: AbortSignal): AsyncIterable<HistoryEntry> {
    return this.#log.tail(revision, signal);
  }

  history(before?: bigint): AsyncIterable<HistoryEntry> {
    return this.#log.history(before);
  }

  outlines(before?: bigint): AsyncIterable<HistoryOutline> {
    return this.#log.outlines(before);
  }

  edges(): HistoryEdges {
    return this.#log.edges;
  }

  async findIdempotent(key: string): Promise<IdempotentWrite | undefined> {
    this.#checkReadable();
    this.#data.tables.refresh();
    return this.#data.idempotentWrite(key);
  }

  /** The processes that follow the store are those of its owner: see `createStoreOwner`. */
  async seenByAll(): Promise<void> {}

  /** Shows what the process that owns the tables has made durable. Only where they are read. */
  move(edges: HistoryEdges): void {
    this.#opened = undefined;
    this.#log.move(edges);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #commit(transaction: Transaction): Promise<CommitResult> {
    try {
      const outcome = await this.#data.tables.transact(() => this.#run(transaction));
      return outcome.kind === "written" ? this.#acknowledge(outcome) : outcome;
    } catch (cause) {
      return this.#fail(cause);
    }
  }

  /** Runs inside the tables' transaction. All that may fail comes before the first put. */
  #run(transaction: Transaction): Outcome {
    if (this.#failure) return unavailable(this.#failure.message, false);
    const head = this.#data.head;
    // An earlier transaction was lost underneath, and its promise has not told us yet: this one must not take its place.
    if (head !== this.#assigned) throw new Error(`revision ${this.#assigned} was lost, the head is ${head}`);
    const plan = planCommit(this.#data, transaction);
    switch (plan.kind) {
      case "write":
        return this.#write(plan.entry, transaction);
      case "remember":
        return this.#remember(plan.write, transaction);
      default:
        return plan;
    }
  }

  #write(entry: HistoryEntry, { idempotency, isUrgent }: Transaction): Outcome {
    const commit = encodeCommit(entry, idempotency, (id) => this.#data.recordBytes(id));
    const { sizeBytes } = commit;
    const lowDisk = this.#lowDisk(sizeBytes, isUrgent);
    if (lowDisk) return lowDisk;
    const edges = writeCommit(this.#data, commit, this.#options.history);
    this.#assigned = edges.newest;
    this.#unacknowledged.push({ entry, sizeBytes, edges });
    this.#pendingBytes += sizeBytes;
    return { kind: "written", answer: { kind: "committed", revision: edges.newest }, sizeBytes };
  }

  #remember(write: IdempotentWrite, { isUrgent }: Transaction): Outcome {
    const key = encodeUnchanged(this.#data, write);
    const { sizeBytes, revision } = key;
    const lowDisk = this.#lowDisk(sizeBytes, isUrgent);
    if (lowDisk) return lowDisk;
    putUnchanged(this.#data, key, this.#options.history.maxEntries);
    this.#pendingBytes += sizeBytes;
    return { kind: "written", answer: { kind: "unchanged", revision }, sizeBytes };
  }

  #lowDisk(sizeBytes: number, isUrgent = false): Extract<CommitResult, { kind: "low-disk" }> | undefined {
    const freeBytes = this.#data.tables.freeBytes();
    const { minFreeBytes } = this.#options;
    const spareBytes = isUrgent ? minFreeBytes / URGENT_SHARE : minFreeBytes;
    const neededBytes = spareBytes + this.#pendingBytes + sizeBytes;
    return freeBytes < neededBytes ? { kind: "low-disk", freeBytes, neededBytes } : undefined;
  }

  /** Shows what a durable transaction was decided on, and its own: all of it is in the same or in an earlier write. */
  #acknowledge({ answer, sizeBytes }: Written): CommitResult {
    if (this.#failure) return unavailable(this.#failure.message, true);
    const { revision } = answer;
    this.#pendingBytes -= sizeBytes;
    for (let next = this.#unacknowledged[0]; next && next.entry.revision <= revision; next = this.#unacknowledged[0]) {
      this.#unacknowledged.shift();
      this.#log.publish(next);
      this.#opened = undefined;
    }
    return answer;
  }

  #fail(cause: unknown): CommitResult {
    if (!this.#failure) {
      const message = `a write failed (${messageOf(cause)}): nothing is accepted any more. Mend the disk and restart.`;
      this.#failure = { message, cause };
      this.#resolveFailed(this.#failure);
    }
    return unavailable(this.#failure.message, true);
  }

  #refusal(): CommitResult | undefined {
    if (this.#closing) return unavailable("the store is closed", false);
    if (this.#failure) return unavailable(this.#failure.message, false);
    if (this.#options.readOnly) return unavailable("the store was opened for reading only", false);
    return undefined;
  }

  #read(revision: bigint): HistoryOutline | undefined {
    this.#checkReadable();
    this.#data.tables.refresh();
    const bytes = readHistory(() => this.#data.entryBytes(revision));
    return (
      bytes && {
        revision,
        timeMs: () => readHistory(() => decodeTimeMs(revision, bytes)),
        changes: () => readHistory(() => decodeOutlines(revision, bytes)),
        entry: (maxSegmentBytes) => readHistory(() => decodeHistoryEntry(revision, bytes, maxSegmentBytes)),
      }
    );
  }

  #checkReadable(): void {
    if (this.#closed) throw new StoreUnavailable("the store is closed");
  }

  async #close(): Promise<void> {
    await Promise.all(this.#accepted);
    await this.side?.settled();
    this.#log.close();
    this.#closed = true;
    try {
      await this.#data.tables.close();
    } finally {
      await this.#options.release();
    }
  }
}

function readHistory<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new StoreUnavailable(`history cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function unavailable(message: string, uncertain: boolean): Extract<CommitResult, { kind: "unavailable" }> {
  return { kind: "unavailable", uncertain, message };
}
