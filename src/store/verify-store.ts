import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type HistoryEntry, type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { changedId } from "./commit-plan.js";
import { toUnchangedPlace } from "./idempotency-keys.js";
import { fromRevisionKey, fromTextKey, toIdempotencyKey, toRevisionKey, toUnchangedKey } from "./keys.js";
import { readBatches } from "./read-batches.js";
import { readStore } from "./read-store.js";
import { type RecordId, recordRevision } from "./record.js";
import type { HistoryEdges } from "./store.js";
import {
  decodeHistoryEntry,
  decodeIdempotentWrite,
  decodeRecord,
  FORMAT_VERSION,
  type KeptWrite,
  META,
  StoreData,
} from "./store-data.js";
import { messageOf, type OrStoreProblem } from "./store-problem.js";
import type { ReadableTables, TableEntry, TableName } from "./tables.js";

/** What a data directory holds, and what is wrong with it. */
export interface VerifyReport {
  readonly formatVersion: string;
  readonly epoch: string;
  /** When it was made, in RFC 3339, if it is a backup. */
  readonly backupTime: string | undefined;
  readonly headRevision: bigint;
  readonly recordCount: number;
  readonly historyCount: number;
  /** Size of all kept history, in bytes. */
  readonly historyBytes: number;
  readonly history: HistoryEdges;
  readonly idempotencyKeyCount: number;
  /** For people; empty if all is well. The first 100 only: see `problemCount`. */
  readonly problems: readonly string[];
  readonly problemCount: number;
}

const MAX_PROBLEMS = 100;

/**
 * Reads a whole data directory, offline or beside a running server, and checks that it is consistent: that every record and
 * history entry can be decoded and stands in its own place, that history has no gap and that what it tells leads to the
 * current records. Rejects once `signal` aborts.
 */
export function verifyStore(path: string, signal?: AbortSignal): Promise<OrStoreProblem<VerifyReport>> {
  return readStore(path, signal, (snapshot) => verifyTables(snapshot, signal));
}

/** The same, of tables that are open. Throws where they cannot be read at all. */
export function verifyTables(tables: ReadableTables, signal?: AbortSignal): Promise<VerifyReport> {
  return new Verification(new StoreData(tables), signal).report();
}

class Verification {
  readonly #data: StoreData<ReadableTables>;
  readonly #signal: AbortSignal | undefined;
  readonly #head: bigint;
  readonly #edges: HistoryEdges;
  readonly #problems: string[] = [];
  #problemCount = 0;
  /** The state of each record after the kept history: a digest of its content, undefined if deleted; and since when. */
  readonly #replayed = new Map<RecordId, { readonly content: string | undefined; readonly revision: bigint }>();

  constructor(data: StoreData<ReadableTables>, signal: AbortSignal | undefined) {
    this.#data = data;
    this.#signal = signal;
    this.#head = data.head;
    this.#edges = data.edges;
  }

  async report(): Promise<VerifyReport> {
    const epoch = this.#data.meta(META.epoch) ?? "";
    if (epoch === "") this.#problem("there is no epoch");
    this.#checkEdges();
    const history = await this.#checkHistory();
    const recordCount = await this.#checkRecords();
    const idempotencyKeyCount = await this.#checkIdempotency();
    await this.#checkDeletions();
    return {
      formatVersion: FORMAT_VERSION,
      epoch,
      backupTime: this.#data.meta(META.backup),
      headRevision: this.#head,
      recordCount,
      historyCount: history.count,
      historyBytes: history.sizeBytes,
      history: this.#edges,
      idempotencyKeyCount,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  /** The newest transaction is always kept. */
  #checkEdges(): void {
    const { oldest, newest } = this.#edges;
    if (oldest < 1n || oldest > (newest > 0n ? newest : 1n)) {
      this.#problem(`history begins at revision ${oldest}, the head is ${newest}`);
    }
  }

  async #checkHistory(): Promise<{ readonly count: number; readonly sizeBytes: number }> {
    let next = this.#edges.oldest;
    let count = 0;
    let sizeBytes = 0;
    for await (const { key, value } of this.#entries("history")) {
      count++;
      sizeBytes += value.length;
      const revision = fromRevisionKey(key);
      if (revision !== next) this.#problem(`history goes from revision ${next - 1n} to ${revision ?? "no revision"}`);
      if (revision === undefined) continue;
      next = revision + 1n;
      this.#check(() => this.#replay(decodeHistoryEntry(revision, value)));
    }
    if (next !== this.#head + 1n) this.#problem(`history ends at revision ${next - 1n}, the head is ${this.#head}`);
    if (sizeBytes !== this.#data.historyBytes) {
      this.#problem(`history has ${sizeBytes} bytes, but is counted as ${this.#data.historyBytes}`);
    }
    return { count, sizeBytes };
  }

  #replay(entry: HistoryEntry): void {
    const { revision } = entry;
    for (const change of entry.changes) {
      const id = changedId(change);
      if (id === undefined) throw new Error(`revision ${revision} changes something that this version does not know`);
      // What was before the kept history is known only if that goes back to the beginning.
      const known = this.#replayed.has(id) || this.#edges.oldest === 1n;
      if (known && digest(change.before) !== this.#replayed.get(id)?.content) {
        this.#problem(`revision ${revision} does not continue what ${id} was before`);
      }
      if (change.after && recordRevision(change.after) !== revision) {
        this.#problem(`${id} after revision ${revision} says that it was changed at ${recordRevision(change.after)}`);
      }
      this.#replayed.set(id, { content: digest(change.after), revision });
    }
  }

  async #checkRecords(): Promise<number> {
    const present = new Set<RecordId>();
    for await (const { key, value } of this.#entries("records")) {
      const id = fromTextKey(key);
      present.add(id);
      this.#check(() => this.#checkRecord(id, decodeRecord(id, value)));
    }
    for (const [id, { content }] of this.#replayed) {
      if (content !== undefined && !present.has(id))
        this.#problem(`record ${id} is missing: history does not delete it`);
    }
    return present.size;
  }

  #checkRecord(id: RecordId, record: Record): void {
    const revision = recordRevision(record);
    if (revision > this.#head) this.#problem(`record ${id} is of revision ${revision}, the head is ${this.#head}`);
    const replayed = this.#replayed.get(id);
    if (replayed) {
      if (replayed.content !== digest(record)) this.#problem(`record ${id} is not what history made of it`);
    } else if (revision >= this.#edges.oldest) {
      this.#problem(`record ${id} is of revision ${revision}, but history does not tell of it`);
    }
  }

  async #checkIdempotency(): Promise<number> {
    const { oldest, newest } = this.#data.unchanged;
    let count = 0;
    let unchangedCount = 0n;
    for await (const { key, value } of this.#entries("idempotency")) {
      count++;
      this.#check(() => {
        const kept = decodeIdempotentWrite(value);
        const { write } = kept;
        if (kept.unchanged !== undefined) unchangedCount++;
        if (Buffer.compare(toIdempotencyKey(write.key), key) !== 0) {
          this.#problem(`the idempotency key ${JSON.stringify(write.key)} stands in the place of another`);
        }
        if (!this.#isOrdered(kept, key)) {
          this.#problem(`the idempotency key ${JSON.stringify(write.key)} points to revision ${write.revision}`);
        }
      });
    }
    let ordered = 0;
    for await (const _ of this.#entries("idempotencyOrder")) ordered++;
    if (ordered !== count)
      this.#problem(`there are ${count} idempotency keys, but ${ordered} in the order of revisions`);
    if (unchangedCount !== newest - oldest + 1n) {
      const numbers = `of the numbers ${oldest} to ${newest}`;
      this.#problem(`${unchangedCount} idempotency keys are of writes that changed nothing, ${numbers}`);
    }
    return count;
  }

  /** Whether a key stands in the order by which keys leave, and is not one that should have left. */
  #isOrdered({ write: { revision }, unchanged }: KeptWrite, digest: Uint8Array): boolean {
    const { oldestIdempotent, tables } = this.#data;
    if (revision > this.#head) return false;
    if (unchanged === undefined) {
      const place = tables.idempotencyOrder.get(toRevisionKey(revision));
      return oldestIdempotent <= revision && place !== undefined && Buffer.compare(place, digest) === 0;
    }
    const place = tables.idempotencyOrder.get(toUnchangedKey(unchanged));
    const { oldest, newest } = this.#data.unchanged;
    const isKept = oldest <= unchanged && unchanged <= newest;
    return isKept && place !== undefined && Buffer.compare(place, toUnchangedPlace(digest, revision)) === 0;
  }

  async #checkDeletions(): Promise<void> {
    const { records } = this.#data.tables;
    const told = new Map<RecordId, bigint | undefined>();
    for await (const { key, value } of this.#entries("deletions")) {
      const id = fromTextKey(key);
      const revision = fromRevisionKey(value);
      if (revision === undefined || !this.#kept(revision)) {
        this.#problem(`the deletion of ${id} points to revision ${revision ?? "none"}`);
      }
      if (records.get(key)) this.#problem(`record ${id} is there, and deleted`);
      told.set(id, revision);
    }
    for (const [id, { content, revision }] of this.#replayed) {
      if (content !== undefined || told.get(id) === revision) continue;
      this.#problem(`revision ${revision} deleted ${id}, which is noted of ${told.get(id) ?? "none"}`);
    }
  }

  async *#entries(name: TableName): AsyncGenerator<TableEntry, void, undefined> {
    for await (const batch of readBatches(this.#data.tables[name], this.#signal)) yield* batch;
  }

  #kept(revision: bigint): boolean {
    return this.#edges.oldest <= revision && revision <= this.#head;
  }

  #check(action: () => void): void {
    try {
      action();
    } catch (cause) {
      this.#problem(messageOf(cause));
    }
  }

  #problem(description: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(description);
  }
}

function digest(record: Record | undefined): string | undefined {
  return record && createHash("sha256").update(toBinary(RecordSchema, record)).digest("base64");
}
