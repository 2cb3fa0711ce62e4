import { create, equals } from "@bufbuild/protobuf";
import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import type { Change, HistoryEntry } from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { describeRampChanges } from "./describe-ramp.js";
import { describeServe } from "./flag-summary.js";

const maximumChangesShown = 3;

/** An entry's changes in a few words. With a key those of that flag, and the others only counted. */
export function describeChanges(entry: HistoryEntry, key?: string): string {
  const wanted = key === undefined ? entry.changes : entry.changes.filter((change) => isOfFlag(change, key));
  const shown = wanted.slice(0, maximumChangesShown).map(describeChange);
  const further = entry.changes.length - shown.length + entry.omittedChanges;
  return [...shown, ...(further > 0 ? [`${further} more`] : [])].join(", ");
}

/** Whether a change is of a flag, its settings or its key. */
export function isOfFlag(change: Change, key: string): boolean {
  const kind = (change.after ?? change.before)?.kind.case;
  return change.key === key && kind !== "segment" && kind !== "environment";
}

/** Such as `turned on new-checkout in production`. */
export function describeChange(change: Change): string {
  const verb = change.before === undefined ? "created" : change.after === undefined ? "deleted" : "changed";
  const kind = (change.after ?? change.before)?.kind.case;
  switch (kind) {
    case "reservedKey":
      return `${change.after === undefined ? "freed" : "reserved"} the key ${change.key}`;
    case "targeting":
      return describeTargetingChange(change, verb);
    case "segment":
      return `${verb} ${kind} ${change.key} in ${change.environment}${describeKeys(change)}`;
    case "environment":
      return `${verb} ${kind} ${change.key}${describeEnvironment(change)}`;
    default:
      return `${verb} ${kind ?? "record"} ${change.key}`;
  }
}

/** Such as ` (included: 3, were 2)`: how many keys a segment has, where that changed. */
function describeKeys({ before, after }: Change): string {
  const [old, now] = [before?.kind.value, after?.kind.value];
  if (old?.$typeName !== "flagwire.v1.Segment" || now?.$typeName !== "flagwire.v1.Segment") return "";
  const counts = describeKeyCounts(old, now);
  return counts === "" ? "" : ` (${counts})`;
}

/** Such as `included: 3, were 2`; empty where both lists have as many keys as before. */
export function describeKeyCounts(
  old: Pick<Segment, "includedCount" | "excludedCount">,
  now: Pick<Segment, "includedCount" | "excludedCount">,
): string {
  return [
    ...(old.includedCount === now.includedCount ? [] : [`included: ${now.includedCount}, were ${old.includedCount}`]),
    ...(old.excludedCount === now.excludedCount ? [] : [`excluded: ${now.excludedCount}, were ${old.excludedCount}`]),
  ].join("; ");
}

/** Such as ` (private attributes: 2, were 1; keeps contexts)`. */
function describeEnvironment({ before, after }: Change): string {
  const [old, now] = [before?.kind.value, after?.kind.value];
  if (old?.$typeName !== "flagwire.v1.Environment" || now?.$typeName !== "flagwire.v1.Environment") return "";
  const parts = describeEnvironmentFields(old, now);
  return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
}

function describeEnvironmentFields(old: Environment, now: Environment): readonly string[] {
  const [were, are] = [old.privateAttributes, now.privateAttributes];
  const isSame = were.length === are.length && were.every((name, index) => name === are[index]);
  return [
    ...(isSame ? [] : [lengths("private attributes", were, are)]),
    ...(old.keepContexts === now.keepContexts ? [] : [now.keepContexts ? "keeps contexts" : "keeps no contexts"]),
    ...(old.description === now.description ? [] : ["description"]),
  ];
}

/** The everyday edits by their names, any other with what it changed. */
function describeTargetingChange({ key, environment, before, after }: Change, verb: string): string {
  const where = `${key} in ${environment}`;
  const [old, now] = [before?.kind.value, after?.kind.value];
  if (old?.$typeName !== "flagwire.v1.Targeting" || now?.$typeName !== "flagwire.v1.Targeting") {
    return `${verb} targeting of ${where}`;
  }
  const settings = describeSettings(old, now);
  const also = settings.length === 0 ? "" : ` (${settings.join("; ")})`;
  if (now.killed !== undefined && !sameKill(old, now)) return `killed ${where}: ${now.killed.reason}${also}`;
  if (old.killed !== undefined && now.killed === undefined) return `revived ${where}${also}`;
  if (old.enabled !== now.enabled) return `turned ${now.enabled ? "on" : "off"} ${where}${also}`;
  return `changed targeting of ${where}${also}`;
}

function sameKill(old: Targeting, now: Targeting): boolean {
  return same(old, now, (one) => ({ killed: one.killed }));
}

/** The settings that differ, other than those that have a verb of their own. */
function describeSettings(old: Targeting, now: Targeting): readonly string[] {
  const parts: string[] = [];
  // With a kill or a revival, the verb says something else.
  if (old.enabled !== now.enabled && !sameKill(old, now)) parts.push(now.enabled ? "turned on" : "turned off");
  if (!same(old, now, (one) => ({ default: one.default }))) parts.push(`default: ${describeServe(now.default)}`);
  if (!same(old, now, (one) => ({ rules: one.rules }))) parts.push(lengths("rules", old.rules, now.rules));
  if (!same(old, now, (one) => ({ targets: one.targets }))) parts.push(lengths("targets", old.targets, now.targets));
  if (!same(old, now, (one) => ({ prerequisites: one.prerequisites }))) {
    parts.push(lengths("prerequisites", old.prerequisites, now.prerequisites));
  }
  if (old.offVariant !== now.offVariant) parts.push(`off variant: ${now.offVariant || "the caller's default"}`);
  return [...parts, ...describeRampChanges(old.ramps, now.ramps)];
}

/** Such as `rules: 1, were 2`; without numbers where only their content differs. */
function lengths(name: string, old: readonly unknown[], now: readonly unknown[]): string {
  return old.length === now.length ? name : `${name}: ${now.length}, were ${old.length}`;
}

function same(old: Targeting, now: Targeting, pick: (targeting: Targeting) => Partial<Targeting>): boolean {
  const only = (targeting: Targeting) => Object.assign(create(TargetingSchema), pick(targeting));
  return equals(TargetingSchema, only(old), only(now));
}
