import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { type HistoryEntry, type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { changedId } from "./commit-plan.js";
import { fromRevisionKey, fromTextKey, toIdempotencyKey, toRevisionKey } from "./keys.js";
import { openLmdbTables } from "./lmdb-tables.js";
import { type RecordId, recordRevision } from "./record.js";
import type { HistoryEdges } from "./store.js";
import {
  decodeHistoryEntry,
  decodeIdempotentWrite,
  decodeRecord,
  FORMAT_VERSION,
  META,
  StoreData,
} from "./store-data.js";
import { damaged, isStoreProblem, messageOf, type OrStoreProblem, toStoreProblem } from "./store-problem.js";

/** What a data directory holds, and what is wrong with it. */
export interface VerifyReport {
  readonly formatVersion: string;
  readonly epoch: string;
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
 * current records. Works in one turn on one snapshot: not for a process that serves.
 */
export async function verifyStore(path: string): Promise<OrStoreProblem<VerifyReport>> {
  const directory = resolve(path);
  const opened = await openLmdbTables(directory, { readOnly: true });
  if (isStoreProblem(opened)) return opened;
  const { tables } = opened;
  try {
    tables.refresh();
    return new Verification(new StoreData(tables)).report();
  } catch (cause) {
    const problem = toStoreProblem(directory, cause);
    return problem.kind === "unsupported" ? damaged(directory, messageOf(cause), cause) : problem;
  } finally {
    await tables.close();
  }
}

class Verification {
  readonly #data: StoreData;
  readonly #head: bigint;
  readonly #edges: HistoryEdges;
  readonly #problems: string[] = [];
  #problemCount = 0;
  /** The state of each record after the kept history: a digest of its content; undefined if deleted. */
  readonly #replayed = new Map<RecordId, string | undefined>();

  constructor(data: StoreData) {
    this.#data = data;
    this.#head = data.head;
    this.#edges = data.edges;
  }

  report(): VerifyReport {
    const epoch = this.#data.meta(META.epoch) ?? "";
    if (epoch === "") this.#problem("there is no epoch");
    const history = this.#checkHistory();
    const recordCount = this.#checkRecords();
    const idempotencyKeyCount = this.#checkIdempotency();
    this.#checkDeletions();
    return {
      formatVersion: FORMAT_VERSION,
      epoch,
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

  #checkHistory(): { readonly count: number; readonly sizeBytes: number } {
    let next = this.#edges.oldest;
    let count = 0;
    let sizeBytes = 0;
    for (const { key, value } of this.#data.tables.history.entries()) {
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
      if (known && digest(change.before) !== this.#replayed.get(id)) {
        this.#problem(`revision ${revision} does not continue what ${id} was before`);
      }
      if (change.after && recordRevision(change.after) !== revision) {
        this.#problem(`${id} after revision ${revision} says that it was changed at ${recordRevision(change.after)}`);
      }
      this.#replayed.set(id, digest(change.after));
    }
  }

  #checkRecords(): number {
    const present = new Set<RecordId>();
    for (const { key, value } of this.#data.tables.records.entries()) {
      const id = fromTextKey(key);
      present.add(id);
      this.#check(() => this.#checkRecord(id, decodeRecord(id, value)));
    }
    for (const [id, content] of this.#replayed) {
      if (content !== undefined && !present.has(id))
        this.#problem(`record ${id} is missing: history does not delete it`);
    }
    return present.size;
  }

  #checkRecord(id: RecordId, record: Record): void {
    const revision = recordRevision(record);
    if (revision > this.#head) this.#problem(`record ${id} is of revision ${revision}, the head is ${this.#head}`);
    if (this.#replayed.has(id)) {
      if (this.#replayed.get(id) !== digest(record)) this.#problem(`record ${id} is not what history made of it`);
    } else if (revision >= this.#edges.oldest) {
      this.#problem(`record ${id} is of revision ${revision}, but history does not tell of it`);
    }
  }

  #checkIdempotency(): number {
    const { oldestIdempotent } = this.#data;
    const { idempotency, idempotencyOrder } = this.#data.tables;
    let count = 0;
    for (const { key, value } of idempotency.entries()) {
      count++;
      this.#check(() => {
        const write = decodeIdempotentWrite(value);
        if (Buffer.compare(toIdempotencyKey(write.key), key) !== 0) {
          this.#problem(`the idempotency key ${JSON.stringify(write.key)} stands in the place of another`);
        }
        const ordered = idempotencyOrder.get(toRevisionKey(write.revision));
        const isKept = oldestIdempotent <= write.revision && write.revision <= this.#head;
        if (!isKept || !ordered || Buffer.compare(ordered, key) !== 0) {
          this.#problem(`the idempotency key ${JSON.stringify(write.key)} points to revision ${write.revision}`);
        }
      });
    }
    let ordered = 0;
    for (const _ of idempotencyOrder.entries()) ordered++;
    if (ordered !== count)
      this.#problem(`there are ${count} idempotency keys, but ${ordered} in the order of revisions`);
    return count;
  }

  #checkDeletions(): void {
    const { deletions, records } = this.#data.tables;
    for (const { key, value } of deletions.entries()) {
      const id = fromTextKey(key);
      const revision = fromRevisionKey(value);
      if (revision === undefined || !this.#kept(revision)) {
        this.#problem(`the deletion of ${id} points to revision ${revision ?? "none"}`);
      }
      if (records.get(key)) this.#problem(`record ${id} is there, and deleted`);
    }
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
