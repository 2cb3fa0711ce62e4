import type { Record } from "../../gen/flagwire/v1/history_pb.js";

/** Names one record, such as `targeting/production/new-checkout`. Also its key in storage, so it sorts by kind. */
export type RecordId = string;

export const flagId = (key: string): RecordId => `flag/${key}`;
export const targetingId = (environment: string, flagKey: string): RecordId => `targeting/${environment}/${flagKey}`;
export const segmentId = (environment: string, key: string): RecordId => `segment/${environment}/${key}`;
export const environmentId = (name: string): RecordId => `environment/${name}`;
export const reservedKeyId = (key: string): RecordId => `reserved/${key}`;

export const tokenId = (id: string): RecordId => `token/${id}`;

export type RecordKind = NonNullable<Record["kind"]["case"]>;

/** The id of a record. A record of no kind that this version knows has none. */
export function recordId(record: Record): RecordId | undefined {
  const { kind } = record;
  switch (kind.case) {
    case "flag":
      return flagId(kind.value.key);
    case "targeting":
      return targetingId(kind.value.environment, kind.value.flagKey);
    case "segment":
      return segmentId(kind.value.environment, kind.value.key);
    case "environment":
      return environmentId(kind.value.name);
    case "reservedKey":
      return reservedKeyId(kind.value.key);
    case "token":
      return tokenId(kind.value.token?.id ?? "");
    case undefined:
      return undefined;
  }
}

/** The revision that last changed a record; 0n for one that was never stored. */
export function recordRevision(record: Record): bigint {
  return record.kind.value?.revision ?? 0n;
}
