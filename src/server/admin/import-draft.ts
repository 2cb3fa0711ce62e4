import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type RefusedItem, RefusedItemSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Environment, EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { type Flag, FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import { type Segment, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { type RecordChange, type RecordId, reservedKeyId, targetingId } from "../../store/index.js";
import { keepRamps } from "../ramps/keep-ramps.js";
import type { Catalog } from "../state/catalog.js";
import { initialTargeting, withRuleIds } from "./initial-targeting.js";
import { putEnvironment, putFlag, putSegment, putTargeting, remove } from "./records.js";
import type { Steps } from "./steps.js";

/** How a file is to be taken over. */
export interface ImportSettings {
  /** The environment of what names none. */
  readonly environment: string;
  readonly force: boolean;
  /** When a flag that is killed in the file was, where that does not say. Epoch milliseconds. */
  readonly timeMs: number;
}

/** Items of a file that are left out, by kind and key. */
export type LeftOut = ReadonlySet<string>;

export const leftOutFlag = (key: string): string => `flag ${key}`;
export const leftOutSegment = (key: string): string => `segment ${key}`;
export const leftOutEnvironment = (name: string): string => `environment ${name}`;

/** What a file changes, and what it gets wrong before anything is compiled. */
export interface ImportDraft {
  readonly changes: readonly RecordChange[];
  readonly refused: readonly RefusedItem[];
}

/** Works out what a file, without some of its items, changes in a catalog. */
export function* draftImport(
  file: FlagFile,
  settings: ImportSettings,
  catalog: Catalog,
  leftOut: LeftOut,
): Steps<ImportDraft> {
  const draft = new Draft(settings, catalog, leftOut);
  for (const environment of file.environments) draft.environment(environment);
  for (const flag of file.flags) {
    draft.flag(flag);
    yield;
  }
  for (const targeting of file.targetings) {
    draft.targeting(targeting);
    yield;
  }
  for (const segment of file.segments) {
    draft.segment(segment);
    yield;
  }
  yield* draft.complete();
  return draft.finish();
}

class Draft {
  readonly #changes = new Map<RecordId, RecordChange>();
  readonly #refused: RefusedItem[] = [];
  readonly #newEnvironments = new Set<string>();
  readonly #flags = new Map<string, Flag>();

  constructor(
    readonly settings: ImportSettings,
    readonly catalog: Catalog,
    readonly leftOut: LeftOut,
  ) {}

  /** A file makes nothing public that is private by now, whether it knows of it or not. */
  environment({ name, description, privateAttributes, keepContexts }: Environment): void {
    if (this.leftOut.has(leftOutEnvironment(name))) return;
    const current = this.catalog.environment(name);
    if (current === undefined) {
      this.#newEnvironments.add(name);
      this.#put(putEnvironment(create(EnvironmentSchema, { name, description, privateAttributes, keepContexts })));
      return;
    }
    const changed = clone(EnvironmentSchema, current);
    const known = new Set(current.privateAttributes);
    changed.description = description || current.description;
    changed.privateAttributes.push(...privateAttributes.filter((attribute) => !known.has(attribute)));
    changed.keepContexts ||= keepContexts;
    this.#put(putEnvironment(changed));
  }

  flag(flag: Flag): void {
    const { key } = flag;
    if (this.leftOut.has(leftOutFlag(key))) return;
    const change = putFlag(clone(FlagSchema, flag));
    const reserved = this.catalog.reservedKey(key) !== undefined;
    if (this.#changes.has(change.id)) {
      this.#refuse(key, "flag.key", "is in the file twice");
    } else if (reserved && !this.settings.force) {
      this.#refuse(key, "flag.key", "is the key of a deleted flag; force takes it all the same");
    } else {
      if (reserved) this.#put(remove(reservedKeyId(key)));
      this.#flags.set(key, flag);
      this.#put(change);
    }
  }

  targeting(targeting: Targeting): void {
    if (this.leftOut.has(leftOutFlag(targeting.flagKey))) return;
    const named = clone(TargetingSchema, targeting);
    named.environment ||= this.settings.environment;
    if (this.leftOut.has(leftOutEnvironment(named.environment))) return;
    const current = this.catalog.targeting(named.environment, named.flagKey);
    if (current !== undefined) {
      // A file neither kills nor revives a flag that is in use: it may be older than the incident.
      if (current.killed) named.killed = current.killed;
      else delete named.killed;
    } else if (named.killed) {
      named.killed.killedAt ??= timestampFromMs(this.settings.timeMs);
    }
    const change = putTargeting(withRuleIds(named));
    const kept = keepRamps(change, this.catalog.record(change.id), this.settings.timeMs);
    if (this.#changes.has(change.id)) {
      this.#refuse(named.flagKey, "targeting.flag_key", `has two targetings for ${named.environment} in the file`);
    } else {
      this.#put(kept);
    }
  }

  segment(segment: Segment): void {
    const { key } = segment;
    if (this.leftOut.has(leftOutSegment(key))) return;
    const environment = segment.environment || this.settings.environment;
    if (this.leftOut.has(leftOutEnvironment(environment))) return;
    const change = putSegment(create(SegmentSchema, { ...segment, environment }));
    if (this.#changes.has(change.id)) this.#refuse(key, "segment.key", "is in the file twice");
    else if (segment.keysOmitted) this.#refuse(key, "segment.keys_omitted", "is set: its keys are not in the file");
    else this.#put(change);
  }

  /**
   * A new flag has settings everywhere, and a new environment has some for every flag, as those that are made by hand. A
   * flag that the file changes has its new variants by then.
   */
  *complete(): Steps<void> {
    for (const [key, flag] of this.#flags) {
      if (this.catalog.flag(key) !== undefined) continue;
      for (const environment of this.catalog.environmentNames()) this.#start(flag, environment);
      yield;
    }
    for (const environment of this.#newEnvironments) {
      for (const flag of this.#flags.values()) {
        this.#start(flag, environment);
        yield;
      }
      for (const key of this.catalog.flagKeys()) {
        const flag = this.#flags.has(key) ? undefined : this.catalog.flag(key);
        if (flag) this.#start(flag, environment);
        yield;
      }
    }
  }

  #start(flag: Flag, environment: string): void {
    if (this.#changes.has(targetingId(environment, flag.key))) return;
    this.#put(putTargeting(initialTargeting(flag, environment)));
  }

  finish(): ImportDraft {
    return { changes: [...this.#changes.values()], refused: this.#refused };
  }

  #put(change: RecordChange): void {
    this.#changes.set(change.id, change);
  }

  #refuse(key: string, field: string, description: string): void {
    this.#refused.push(create(RefusedItemSchema, { key, field, description }));
  }
}
