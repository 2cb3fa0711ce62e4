import type { ItemRecord, MessageRecord } from "./history.js";
import { keyedVersion } from "./to-records.js";
import type { Findings } from "./violation.js";

/** An update in the making. */
export interface OpenUpdate {
  readonly kind: NonNullable<MessageRecord["begin"]>;
  /** What became of each item; undefined: it is deleted. */
  readonly items: Map<string, string | undefined>;
  /** The segment whose keys may still come. */
  segment: Extract<ItemRecord, { kind: "segment" }> | undefined;
}

export function beginUpdate(kind: OpenUpdate["kind"]): OpenUpdate {
  return { kind, items: new Map(), segment: undefined };
}

/** Takes an item of a stream of `environment` into an update. */
export function addItem(
  update: OpenUpdate,
  item: ItemRecord,
  environment: string,
  findings: Findings,
  at: number,
): void {
  if ("environment" in item && item.environment !== undefined && item.environment !== environment) {
    findings.add("filter-correct", `${item.id} is of environment ${item.environment}`, at);
  }
  if (item.kind === "keys") {
    addKeys(update, item, findings, at);
    return;
  }
  closeSegment(update, findings, at);
  if (item.kind === "unknown") findings.add("atomic", "an item has no content", at);
  if (update.items.has(item.id)) findings.add("unique", `${item.id} is twice in one update`, at);
  if (item.kind === "segment") update.segment = item;
  update.items.set(item.id, item.kind === "flag" ? item.version : undefined);
  if (item.kind === "segment") update.items.set(item.id, versionOf(item));
}

/** Called at a commit, and before any item that is not keys. */
export function closeSegment(update: OpenUpdate, findings: Findings, at: number): void {
  const { segment } = update;
  update.segment = undefined;
  if (segment === undefined || segment.keyCount === 0) return;
  const held = segment.included.length + segment.excluded.length;
  if (held !== segment.keyCount) {
    findings.add("atomic", `${segment.id} came with ${held} keys and has ${segment.keyCount}`, at);
  }
}

function addKeys(
  update: OpenUpdate,
  item: Extract<ItemRecord, { kind: "keys" }>,
  findings: Findings,
  at: number,
): void {
  const { segment } = update;
  if (segment?.id !== item.id) {
    findings.add("atomic", `keys of ${item.id} came without it`, at);
    return;
  }
  const included = [...segment.included, ...item.included];
  update.segment = { ...segment, included, excluded: [...segment.excluded, ...item.excluded] };
  update.items.set(item.id, versionOf(update.segment));
}

function versionOf(segment: Extract<ItemRecord, { kind: "segment" }>): string {
  return keyedVersion(segment.version, segment.included, segment.excluded);
}
