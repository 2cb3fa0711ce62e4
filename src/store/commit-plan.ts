import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Change, HistoryEntry, Record } from "../../gen/flagwire/v1/history_pb.js";
import { ChangeSchema, HistoryEntrySchema } from "../../gen/flagwire/v1/history_pb.js";
import { invariant } from "../base/index.js";
import { cloneRecord } from "./clone-record.js";
import { MAX_RECORD_ID_BYTES } from "./keys.js";
import {
  environmentId,
  flagId,
  type RecordId,
  recordId,
  recordRevision,
  reservedKeyId,
  segmentId,
  targetingId,
  tokenId,
} from "./record.js";
import type { ChangeOutline, CommitResult, IdempotentWrite, Precondition, RecordChange, Transaction } from "./store.js";

/** The state that a transaction is decided on: that of all transactions before it, durable yet or not. */
export interface StateView {
  readonly head: bigint;
  record(id: RecordId): Record | undefined;
  /** The kept revision that deleted a record which is absent. */
  deletedAt(id: RecordId): bigint | undefined;
  idempotentWrite(key: string): IdempotentWrite | undefined;
}

/** What is to be written, or why nothing is. */
export type CommitPlan =
  | { readonly kind: "write"; readonly entry: HistoryEntry }
  /** Nothing but the idempotency key. */
  | { readonly kind: "remember"; readonly write: IdempotentWrite }
  | Extract<CommitResult, { kind: "repeated" | "conflict" }>;

/** Decides on a transaction. Shares no object with it. */
export function planCommit(view: StateView, transaction: Transaction): CommitPlan {
  const { idempotency } = transaction;
  const write = idempotency && view.idempotentWrite(idempotency.key);
  if (write) return { kind: "repeated", write };
  const headRevision = view.head;
  for (const precondition of transaction.preconditions) {
    if (!holds(view, precondition)) return { kind: "conflict", precondition, headRevision };
  }
  if (transaction.changes.length === 0 && idempotency) {
    return { kind: "remember", write: { ...idempotency, revision: headRevision } };
  }
  return { kind: "write", entry: toEntry(view, transaction, headRevision + 1n) };
}

function holds(view: StateView, precondition: Precondition): boolean {
  switch (precondition.kind) {
    case "absent":
      return view.record(precondition.id) === undefined;
    case "head":
      return precondition.revision === view.head;
    case "unchanged": {
      const { id, revision } = precondition;
      const record = view.record(id);
      const changedAt = record ? recordRevision(record) : (view.deletedAt(id) ?? 0n);
      return changedAt <= revision && revision <= view.head;
    }
  }
}

function toEntry(view: StateView, transaction: Transaction, revision: bigint): HistoryEntry {
  const changes: Change[] = [];
  for (const { id, after } of transaction.changes) {
    const before = view.record(id);
    if (before || after) changes.push(toChange(before, after && stamp(after, revision)));
  }
  const { author, comment } = transaction;
  return create(HistoryEntrySchema, { revision, time: timestampFromMs(transaction.timeMs), author, comment, changes });
}

function stamp(record: Record, revision: bigint): Record {
  const stamped = cloneRecord(record);
  if (stamped.kind.value) stamped.kind.value.revision = revision;
  return stamped;
}

function toChange(before: Record | undefined, after: Record | undefined): Change {
  const change = create(ChangeSchema, before ? { before } : {});
  if (after) change.after = after;
  const kind = (after ?? before)?.kind;
  switch (kind?.case) {
    case "flag":
    case "reservedKey":
      change.key = kind.value.key;
      break;
    case "targeting":
      change.key = kind.value.flagKey;
      change.environment = kind.value.environment;
      break;
    case "segment":
      change.key = kind.value.key;
      change.environment = kind.value.environment;
      break;
    case "environment":
      change.key = kind.value.name;
      break;
    case "token":
      change.key = kind.value.token?.id ?? "";
      break;
  }
  return change;
}

/** The id of the record that a change is about. Undefined for a change that this version does not understand. */
export function changedId(change: Change): RecordId | undefined {
  const record = change.after ?? change.before;
  return record && recordId(record);
}

/** The same, of a change in outline. */
export function outlinedId({ kind, key, environment }: ChangeOutline): RecordId | undefined {
  switch (kind) {
    case "flag":
      return flagId(key);
    case "targeting":
      return targetingId(environment, key);
    case "segment":
      return segmentId(environment, key);
    case "environment":
      return environmentId(key);
    case "reservedKey":
      return reservedKeyId(key);
    case "token":
      return tokenId(key);
    case undefined:
      return undefined;
  }
}

/** Throws for a transaction that no caller may build. */
export function checkTransaction(transaction: Transaction): void {
  const isEmpty = transaction.changes.length === 0 && transaction.idempotency === undefined;
  invariant(!isEmpty, "a transaction has no changes and no idempotency key");
  const ids = new Set<RecordId>();
  for (const change of transaction.changes) {
    checkChange(change);
    invariant(!ids.has(change.id), `a transaction changes ${change.id} twice`);
    ids.add(change.id);
  }
}

function checkChange({ id, after }: RecordChange): void {
  invariant(id.length > 0 && Buffer.byteLength(id) <= MAX_RECORD_ID_BYTES, `a record id of ${id.length} characters`);
  if (after) invariant(recordId(after) === id, `the record ${recordId(after)} is to be stored as ${id}`);
}
