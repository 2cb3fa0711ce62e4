import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { cloneRecord, type RecordChange } from "../../store/index.js";
import type { Catalog } from "../state/catalog.js";

/** Who changes something, when, and what was there before. */
export interface StampContext {
  readonly catalog: Catalog;
  readonly author: string;
  readonly timeMs: number;
}

/** Sets the output-only fields of a change: who created and changed it and when. The store sets the revision. */
export function stamp(change: RecordChange, { catalog, author, timeMs }: StampContext): RecordChange {
  if (change.after === undefined) return change;
  const after = withoutStamps(change.after);
  const before = catalog.record(change.id)?.kind;
  const time = timestampFromMs(timeMs);
  const { kind } = after;
  switch (kind.case) {
    case "flag":
    case "segment": {
      const kept = before?.case === kind.case ? before.value : undefined;
      kind.value.createdAt = kept?.createdAt ?? time;
      kind.value.createdBy = kept?.createdBy ?? author;
      kind.value.changedAt = time;
      kind.value.changedBy = author;
      break;
    }
    case "targeting":
      kind.value.changedAt = time;
      kind.value.changedBy = author;
      break;
    case "environment": {
      const kept = before?.case === "environment" ? before.value : undefined;
      kind.value.createdAt = kept?.createdAt ?? time;
      kind.value.createdBy = kept?.createdBy ?? author;
      break;
    }
    case "token":
      if (kind.value.token === undefined) break;
      kind.value.token.createdAt = time;
      kind.value.token.createdBy = author;
      break;
    case "reservedKey":
      kind.value.deletedAt = time;
      kind.value.deletedBy = author;
      break;
    case undefined:
      break;
  }
  return { id: change.id, after };
}

/** A copy without the output-only fields: what an author decides, nothing else. */
export function withoutStamps(record: Record): Record {
  const copy = cloneRecord(record);
  const { kind } = copy;
  if (kind.case === undefined) return copy;
  kind.value.revision = 0n;
  if (kind.case === "reservedKey") {
    delete kind.value.deletedAt;
    kind.value.deletedBy = "";
    return copy;
  }
  if (kind.case === "token") {
    if (kind.value.token === undefined) return copy;
    delete kind.value.token.createdAt;
    kind.value.token.createdBy = "";
    return copy;
  }
  if (kind.case !== "targeting") {
    delete kind.value.createdAt;
    kind.value.createdBy = "";
  }
  if (kind.case !== "environment") {
    delete kind.value.changedAt;
    kind.value.changedBy = "";
  }
  if (kind.case === "segment") {
    kind.value.includedCount = 0;
    kind.value.excludedCount = 0;
    kind.value.keysOmitted = false;
  }
  return copy;
}
