import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { RecordChange, Transaction } from "./store.js";

/** A transaction on its way to another process: its changes are bytes, as a copy of 50,000 records as objects takes long. */
export interface PackedTransaction extends Omit<Transaction, "changes"> {
  /** Of each change: the id, whether there is a record, and the record. */
  readonly changes: Uint8Array;
}

export function packTransaction(transaction: Transaction): PackedTransaction {
  const writer = new BinaryWriter();
  for (const { id, after } of transaction.changes) {
    writer.string(id).bool(after !== undefined);
    if (after !== undefined) writer.bytes(toBinary(RecordSchema, after));
  }
  return { ...transaction, changes: writer.finish() };
}

/** Throws for what `packTransaction` does not make. */
export function unpackTransaction(packed: PackedTransaction): Transaction {
  const reader = new BinaryReader(packed.changes);
  const changes: RecordChange[] = [];
  while (reader.pos < reader.len) {
    const id = reader.string();
    changes.push({ id, after: reader.bool() ? fromBinary(RecordSchema, reader.bytes()) : undefined });
  }
  return { ...packed, changes };
}
