import type { HistoryEntry, Record } from "../../gen/flagwire/v1/history_pb.js";
import type { RecordId, RecordKind } from "./record.js";
import type { SideTable } from "./side-table.js";

/**
 * The durable, ordered home of everything (see "Store" in docs/ARCHITECTURE.md). Small enough for an embedded and for a
 * distributed engine. Whoever answers requests keeps the state in memory and moves it by `tail`, never by reading here.
 */
export interface Store extends AsyncDisposable {
  /** The incarnation: revisions of different epochs have nothing to do with each other. */
  readonly epoch: string;
  /** All records at one revision. Rejects with `StoreUnavailable` once closed, or if a record cannot be read. */
  load(): Promise<StoreState>;
  /**
   * Makes a transaction durable, at the next revision, whole or not at all. Resolves after it is on disk; never rejects
   * for anything that the caller could mend. Deleting a record that is not there changes nothing, and is not an error. One
   * without changes keeps its idempotency key just as durably, but makes no revision and no history.
   */
  commit(transaction: Transaction): Promise<CommitResult>;
  /**
   * Every transaction after `revision`, in order, each once, each durable before it is seen; then those to come, until
   * `signal` aborts or the store closes, which ends the iteration without an error. Throws `HistoryCompacted` if some of
   * them are no longer kept, at the start or because the consumer fell behind. Entries are shared: do not change them.
   */
  tail(revision: bigint, signal: AbortSignal): AsyncIterable<HistoryEntry>;
  /**
   * Kept transactions with a revision below `before` (all if absent), newest first. Stop iterating at will. Throws
   * `StoreUnavailable` once closed.
   */
  history(before?: bigint): AsyncIterable<HistoryEntry>;
  /** As `history`, in outline: looking for something costs little, however large the records are. */
  outlines(before?: bigint): AsyncIterable<HistoryOutline>;
  /** The revisions that are kept. `newest` is the head. */
  edges(): HistoryEdges;
  /**
   * What became of an earlier write with this key, if it is still known: its transaction's entry in history may be gone.
   * Rejects with `StoreUnavailable` once closed.
   */
  findIdempotent(key: string): Promise<IdempotentWrite | undefined>;
  /**
   * Resolves when every process that answers from this store shows a revision that is durable, those left out that do not
   * keep up: at once where there is only this one. Rejects with `StoreUnavailable` where that can no longer be known.
   */
  seenByAll(revision: bigint): Promise<void>;
  /** What is kept beside the log. Undefined where this process does not own the data. */
  readonly side: SideTable | undefined;
  /**
   * Resolves when the store can no longer promise anything, such as after a failed sync. It acknowledges nothing from then
   * on: stop serving, exit.
   */
  readonly failed: Promise<StoreFailure>;
  /** Waits for what was accepted, then lets go of the directory. */
  close(): Promise<void>;
}

/** All records, each with the revision that last changed it, at one revision. */
export interface StoreState {
  readonly revision: bigint;
  readonly records: ReadonlyMap<RecordId, Record>;
}

/** What to write, and under which conditions. */
export interface Transaction {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  readonly timeMs: number;
  readonly author: string;
  readonly comment: string;
  /**
   * Each id at most once; none only with `idempotency`: a write that was found to change nothing must not do so in a later
   * attempt. The store fills in `before`, and the revision of every `after`.
   */
  readonly changes: readonly RecordChange[];
  readonly preconditions: readonly Precondition[];
  /** Makes a repetition harmless. */
  readonly idempotency?: Idempotency | undefined;
  /** It is small and cannot wait: a quarter of the disk space that others leave free is enough for it. */
  readonly isUrgent?: boolean | undefined;
}

/** The new content of one record; undefined deletes it. */
export interface RecordChange {
  readonly id: RecordId;
  readonly after: Record | undefined;
}

/**
 * `unchanged`: the record's last change, or its absence, is not newer than `revision` (an absent record that was deleted
 * after it conflicts too, as far as history tells). `absent`: there is no such record. `head`: nothing at all was
 * committed after `revision`. Any `revision` beyond the head conflicts.
 */
export type Precondition =
  | { readonly kind: "unchanged"; readonly id: RecordId; readonly revision: bigint }
  | { readonly kind: "absent"; readonly id: RecordId }
  | { readonly kind: "head"; readonly revision: bigint };

/** A write's name, chosen by its caller, and a digest of its content, to notice that the name was used for another. */
export interface Idempotency {
  readonly key: string;
  readonly fingerprint: string;
}

/** A write that was committed under an idempotency key. */
export interface IdempotentWrite extends Idempotency {
  /** Which it made; the head at its time where it changed nothing. */
  readonly revision: bigint;
  readonly changedNothing?: true;
}

export type CommitResult =
  | { readonly kind: "committed"; readonly revision: bigint }
  /** It had no changes, and its idempotency key is kept. `revision` is the head that its preconditions held at. */
  | { readonly kind: "unchanged"; readonly revision: bigint }
  /** The idempotency key was used before, for this or for another content: see the write's fingerprint. */
  | { readonly kind: "repeated"; readonly write: IdempotentWrite }
  /** A precondition did not hold. Nothing was written. */
  | { readonly kind: "conflict"; readonly precondition: Precondition; readonly headRevision: bigint }
  /** Too little disk space is left. Nothing was written. */
  | { readonly kind: "low-disk"; readonly freeBytes: number; readonly neededBytes: number }
  /** The store has failed or is closed. Whether it was written is not known if `uncertain`. */
  | { readonly kind: "unavailable"; readonly uncertain: boolean; readonly message: string };

/**
 * The revisions of kept history, both included; none are kept while `oldest` is above `newest`, which is so only before
 * the first commit: the newest transaction is always kept.
 */
export interface HistoryEdges {
  readonly oldest: bigint;
  readonly newest: bigint;
}

/** A kept transaction, decoded only as far as it is asked for. Throws `StoreUnavailable` for what cannot be decoded. */
export interface HistoryOutline {
  readonly revision: bigint;
  /** When it was committed, in milliseconds since 1970-01-01T00:00:00Z. */
  timeMs(): number;
  changes(): Iterable<ChangeOutline>;
  /**
   * All of it. Shared: do not change it. A segment of more than `maxSegmentBytes` may come without its keys, with
   * Segment.keys_omitted: they take long to decode.
   */
  entry(maxSegmentBytes?: number): HistoryEntry;
}

/** What a change is about: which record, and whether that is gone after it. See Change for `key` and `environment`. */
export interface ChangeOutline {
  /** Undefined for a record that this version does not know. */
  readonly kind: RecordKind | undefined;
  readonly key: string;
  readonly environment: string;
  readonly isDeletion: boolean;
}

/** Why a store stopped. */
export interface StoreFailure {
  readonly message: string;
  readonly cause: unknown;
}

/** The history asked for has been dropped: load the state and go on from there. */
export class HistoryCompacted extends Error {
  override readonly name = "HistoryCompacted";

  constructor(
    readonly asked: bigint,
    readonly oldest: bigint,
  ) {
    super(`revision ${asked} is no longer kept: history begins at ${oldest}`);
  }
}

/** The store cannot be read: it is closed, or what it holds is damaged. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}
