import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import type { Change, HistoryEntry, Record } from "../../../gen/flagwire/v1/history_pb.js";
import {
  type ChangeOutline,
  HistoryCompacted,
  outlineOf,
  type RecordChange,
  type RecordId,
  recordId,
  StoreUnavailable,
} from "../../store/index.js";
import { Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import type { Head } from "../state/head.js";
import { historyCompacted } from "./past-revision.js";

/** Which changes matter. */
export type WantedChange = (change: ChangeOutline) => boolean;

/**
 * What of the records was otherwise at an earlier revision, from the head's history backwards: what was there before the
 * oldest later change of a record is what was there then. The head moves on while history is read, so there may be more
 * to read: use it where it `isCurrent`, before the next `await`.
 */
export class PastRecords {
  readonly #then = new Map<RecordId, Record | undefined>();
  /** What was last there of records that are gone now. */
  readonly #lost = new Map<RecordId, Record>();
  /** The newest revision that was looked at. */
  #seen: bigint;

  constructor(
    readonly head: Head,
    /** Not above the head's. */
    readonly revision: bigint,
    readonly isWanted: WantedChange,
  ) {
    this.#seen = revision;
  }

  /** Whether nothing has happened that was not looked at. */
  get isCurrent(): boolean {
    return this.head.revision <= this.#seen;
  }

  /** Ids of the records that were changed since, in the order of the ids. */
  get ids(): readonly RecordId[] {
    return [...this.#then.keys()].sort();
  }

  /** The records as they were then, as changes of those that are there now. */
  get changes(): readonly RecordChange[] {
    return [...this.#then].map(([id, after]) => ({ id, after }));
  }

  /** All wanted records at the revision. */
  get catalog(): Catalog {
    return this.head.catalog.with(this.changes);
  }

  /** A record as it was when it was deleted, of those that were there at the revision or later and are gone. */
  lost(id: RecordId): Record | undefined {
    return this.#lost.get(id);
  }

  /** The environments that are gone since, sorted. */
  lostEnvironments(): readonly Environment[] {
    const { catalog } = this.head;
    return [...this.#then.values()].flatMap((record) =>
      record?.kind.case === "environment" && catalog.environment(record.kind.value.name) === undefined
        ? [record.kind.value]
        : [],
    );
  }

  /** Reads what has happened since, until it `isCurrent`. */
  async read(signal: AbortSignal, field: string): Promise<Refusal | undefined> {
    while (!this.isCurrent) {
      const refusal = await this.#readOnce(signal, field);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /**
   * Notes what happens from now on, until `signal` aborts, so that it stays current, but for moments, while others write.
   * Nothing may be read meanwhile. Where it cannot go on, `read` tells why.
   */
  async follow(signal: AbortSignal): Promise<void> {
    try {
      for await (const entry of this.head.store.tail(this.#seen, signal)) {
        const found = new Map<RecordId, Found>();
        this.#collect(entry, found);
        this.#merge(found);
        this.#seen = entry.revision;
      }
    } catch (error) {
      if (!(error instanceof HistoryCompacted || error instanceof StoreUnavailable)) throw error;
    }
  }

  async #readOnce(signal: AbortSignal, field: string): Promise<Refusal | undefined> {
    const { store } = this.head;
    const found = new Map<RecordId, Found>();
    let newest: bigint | undefined;
    let next = this.#seen + 1n;
    for await (const outline of store.outlines()) {
      if (signal.aborted) return new Refusal("CANCELLED", "CANCELLED", "the caller has gone");
      if (outline.revision <= this.#seen) break;
      newest ??= outline.revision;
      next = outline.revision;
      if (isAnyWanted(outline.changes(), this.isWanted)) this.#collect(outline.entry(), found);
    }
    // Trimmed while it was read, or before.
    if (newest === undefined || next !== this.#seen + 1n) {
      return historyCompacted(`the state at revision ${this.revision}`, store.edges().oldest, field);
    }
    this.#merge(found);
    this.#seen = newest;
    return undefined;
  }

  /** What was found after all that was seen before. */
  #merge(found: ReadonlyMap<RecordId, Found>): void {
    for (const [id, { oldest, newest }] of found) {
      if (!this.#then.has(id)) this.#then.set(id, oldest.before);
      if (newest.after === undefined && newest.before !== undefined) this.#lost.set(id, newest.before);
      else this.#lost.delete(id);
    }
  }

  /** Entries come newest first. */
  #collect({ changes }: HistoryEntry, found: Map<RecordId, Found>): void {
    for (const change of changes) {
      const record = change.after ?? change.before;
      const id = record && recordId(record);
      if (id === undefined || !this.isWanted(outlineOf(change))) continue;
      found.set(id, { oldest: change, newest: found.get(id)?.newest ?? change });
    }
  }
}

interface Found {
  readonly oldest: Change;
  readonly newest: Change;
}

function isAnyWanted(changes: Iterable<ChangeOutline>, isWanted: WantedChange): boolean {
  for (const change of changes) if (isWanted(change)) return true;
  return false;
}
