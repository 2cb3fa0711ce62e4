import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Flag, FlagKind } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { servedToAll } from "../../engine/index.js";

/** Why somebody should clean a flag up. */
export type StaleReason = "expired" | "rolled-out" | "not-evaluated" | "not-changed";

/** How long is too long, in milliseconds. */
export interface StaleAfter {
  /** Of a release flag that serves everyone the same. */
  readonly rolledOutMs: number;
  /** Of a flag that nobody asks for, or nobody changes. */
  readonly idleMs: number;
}

/** What is known of a flag in one environment. Times are in milliseconds since 1970. */
export interface FlagFacts {
  readonly flag: Flag;
  readonly targeting: Targeting | undefined;
  /** When the environment was made. */
  readonly environmentSinceMs: number | undefined;
  /** When it was last evaluated, as far as reports tell. */
  readonly lastUsedMs: number | undefined;
  /** Since when it would be known if it had been evaluated; undefined where nobody reports. */
  readonly usageSinceMs: number | undefined;
}

/** Flags that are there to stay are only ever expired, and that where somebody said until when. */
export function staleReasons(facts: FlagFacts, after: StaleAfter, nowMs: number): readonly StaleReason[] {
  const reasons: StaleReason[] = [];
  const { flag } = facts;
  if (isBefore(toMs(flag.expiresAt), nowMs)) reasons.push("expired");
  if (!isTemporary(flag)) return reasons;
  if (isRolledOut(facts, nowMs - after.rolledOutMs)) reasons.push("rolled-out");
  if (isUnused(facts, nowMs - after.idleMs)) reasons.push("not-evaluated");
  if (isBefore(lastChangedMs(facts), nowMs - after.idleMs)) reasons.push("not-changed");
  return reasons;
}

/** When a flag, or its settings, were last changed. */
export function lastChangedMs({ flag, targeting }: Pick<FlagFacts, "flag" | "targeting">): number | undefined {
  const times = [toMs(flag.changedAt), toMs(targeting?.changedAt)].filter((timeMs) => timeMs !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}

function isTemporary({ kind }: Flag): boolean {
  return kind === FlagKind.RELEASE || kind === FlagKind.EXPERIMENT;
}

function isRolledOut({ flag, targeting }: FlagFacts, untilMs: number): boolean {
  if (flag.kind !== FlagKind.RELEASE || servedToAll(targeting) === undefined) return false;
  return isBefore(toMs(targeting?.changedAt), untilMs);
}

/** Whether nobody evaluated a flag since a time, from before which on it could have been evaluated and that been known. */
function isUnused({ flag, environmentSinceMs, lastUsedMs, usageSinceMs }: FlagFacts, sinceMs: number): boolean {
  if (![usageSinceMs, environmentSinceMs, toMs(flag.createdAt)].every((timeMs) => isBefore(timeMs, sinceMs)))
    return false;
  return lastUsedMs === undefined || isBefore(lastUsedMs, sinceMs);
}

/** What is not known is not before anything. */
function isBefore(timeMs: number | undefined, limitMs: number): boolean {
  return timeMs !== undefined && timeMs <= limitMs;
}

function toMs(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : timestampMs(time);
}
