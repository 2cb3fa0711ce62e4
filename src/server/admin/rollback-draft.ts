import { clone, create } from "@bufbuild/protobuf";
import { type Change, ChangeSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { flagId, type RecordChange, type RecordId, reservedKeyId, segmentId, targetingId } from "../../store/index.js";
import { keepRamps } from "../ramps/keep-ramps.js";
import type { Catalog } from "../state/catalog.js";
import { initialTargeting } from "./initial-targeting.js";
import type { PastRecords, WantedChange } from "./past-records.js";
import { putFlag, putSegment, putTargeting, remove, reserveKey } from "./records.js";
import type { Steps } from "./steps.js";
import { differs } from "./writer.js";

/** What to roll back. */
export interface RollbackScope {
  /** Empty: all flags. */
  readonly flagKey: string;
  /** Only what belongs to this environment. Empty: all, and the flags themselves. */
  readonly environment: string;
}

/** The changes that a rollback has to know of: also those of what decides whether something can come back. */
export function isWantedBy({ flagKey, environment }: RollbackScope): WantedChange {
  const isOfFlag = (key: string) => flagKey === "" || key === flagKey;
  const isIn = (name: string) => environment === "" || name === environment;
  return (change) => {
    switch (change.kind) {
      case "flag":
        return isOfFlag(change.key);
      case "targeting":
        return isOfFlag(change.key) && isIn(change.environment);
      case "segment":
        return flagKey === "" && isIn(change.environment);
      case "environment":
        return isIn(change.key);
      default:
        return false;
    }
  };
}

/** What has to change for everything to be as it was. `past` has to be current, and `now` the catalog of its head. */
export function* draftRollback(
  past: PastRecords,
  now: Catalog,
  scope: RollbackScope,
  timeMs: number,
): Steps<readonly RecordChange[]> {
  const drafted = new RollbackDraft(past, now, scope);
  const changes: RecordChange[] = [];
  for (const wanted of drafted.changes()) {
    const before = now.record(wanted.id);
    const change = keepRamps(wanted, before, timeMs);
    if (differs(before, change.after)) changes.push(change);
    yield;
  }
  return changes;
}

/** The environments that were not there then, of those that a rollback is about: it leaves them as they are. Sorted. */
export function skippedEnvironments(then: Catalog, now: Catalog): readonly string[] {
  return now.environmentNames().filter((name) => then.environment(name) === undefined);
}

/** Changes as history tells them, of those that were not made. */
export function toHistoryChange({ id, after }: RecordChange, catalog: Catalog): Change {
  const before = catalog.record(id);
  const kind = (after ?? before)?.kind;
  const place =
    kind?.case === "targeting"
      ? { key: kind.value.flagKey, environment: kind.value.environment }
      : kind?.case === "segment"
        ? { key: kind.value.key, environment: kind.value.environment }
        : kind?.case === "environment"
          ? { key: kind.value.name }
          : { key: kind?.case === "flag" || kind?.case === "reservedKey" ? kind.value.key : "" };
  return create(ChangeSchema, { ...place, ...(before && { before }), ...(after && { after }) });
}

class RollbackDraft {
  readonly #then: Catalog;

  constructor(
    readonly past: PastRecords,
    readonly now: Catalog,
    readonly scope: RollbackScope,
  ) {
    this.#then = past.catalog;
  }

  *changes(): Iterable<RecordChange> {
    for (const id of this.past.ids) {
      const kind = (this.#then.record(id) ?? this.now.record(id) ?? this.past.lost(id))?.kind;
      if (kind?.case === "flag" && this.scope.environment === "") yield* this.#flag(kind.value.key);
      else if (kind?.case === "targeting") yield* this.#targeting(id, kind.value);
      else if (kind?.case === "segment") yield* this.#segment(kind.value.environment, kind.value.key);
    }
  }

  /** A key stays reserved while no flag has it, whatever was reserved then: code may ask for either flag. */
  *#flag(key: string): Iterable<RecordChange> {
    const flag = this.#then.flag(key);
    const current = this.now.flag(key);
    if (flag === undefined) {
      if (current !== undefined) yield* [remove(flagId(key)), reserveKey(key)];
      return;
    }
    yield putFlag(flag);
    if (this.now.reservedKey(key) !== undefined) yield remove(reservedKeyId(key));
    if (current !== undefined) return;
    for (const name of this.now.environmentNames()) {
      if (this.#then.environment(name) !== undefined) continue;
      yield putTargeting(this.#withKill(initialTargeting(flag, name)));
    }
  }

  *#targeting(id: RecordId, { flagKey, environment }: Targeting): Iterable<RecordChange> {
    if (this.now.environment(environment) === undefined) return;
    const isScoped = this.scope.environment !== "";
    const flag = (isScoped ? this.now : this.#then).flag(flagKey);
    const current = this.now.targeting(environment, flagKey);
    if (flag === undefined) {
      if (current !== undefined) yield remove(id);
      return;
    }
    // It was not there then, so there is nothing to go back to.
    if (this.#then.environment(environment) === undefined) return;
    const settings = this.#then.targeting(environment, flagKey);
    if (settings !== undefined) yield putTargeting(this.#withKill(settings));
    else if (isScoped && this.#then.flag(flagKey) === undefined) {
      yield putTargeting(this.#withKill(initialTargeting(flag, environment)));
    } else if (current !== undefined) yield remove(id);
  }

  /** With the kill that there is now, or was when the flag was deleted: undoing an edit ends no incident. */
  #withKill(settings: Targeting): Targeting {
    const { flagKey, environment } = settings;
    const id = targetingId(environment, flagKey);
    const lost = this.past.lost(id)?.kind;
    const current = this.now.targeting(environment, flagKey) ?? (lost?.case === "targeting" ? lost.value : undefined);
    const changed = clone(TargetingSchema, settings);
    if (current?.killed !== undefined) changed.killed = current.killed;
    else delete changed.killed;
    return changed;
  }

  *#segment(environment: string, key: string): Iterable<RecordChange> {
    if (this.now.environment(environment) === undefined) return;
    if (this.#then.environment(environment) === undefined) return;
    const segment = this.#then.segment(environment, key);
    if (segment !== undefined) yield putSegment(segment);
    else if (this.now.segment(environment, key) !== undefined) yield remove(segmentId(environment, key));
  }
}
