import { clone, create } from "@bufbuild/protobuf";
import { type RefusedItem, RefusedItemSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { type Flag, FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { type RecordChange, type RecordId, reservedKeyId } from "../../store/index.js";
import type { Catalog } from "../state/catalog.js";
import type { Finding } from "../validate/change-set.js";
import { initialRecords } from "./environments.js";
import { initialTargeting, withRuleIds } from "./initial-targeting.js";
import { putEnvironment, putFlag, putSegment, putTargeting, remove } from "./records.js";

/** How a file is to be taken over. */
export interface ImportSettings {
  /** The environment of what names none. */
  readonly environment: string;
  readonly force: boolean;
}

/** Items of a file that are left out, by kind and key. */
export type LeftOut = ReadonlySet<string>;

export const leftOutFlag = (key: string): string => `flag ${key}`;
export const leftOutSegment = (key: string): string => `segment ${key}`;

/** What a file changes, and what it gets wrong before anything is compiled. */
export interface ImportDraft {
  readonly changes: readonly RecordChange[];
  readonly refused: readonly RefusedItem[];
}

/** Works out what a file, without some of its items, changes in a catalog. */
export function draftImport(file: FlagFile, settings: ImportSettings, catalog: Catalog, leftOut: LeftOut): ImportDraft {
  const draft = new Draft(settings, catalog, leftOut);
  for (const environment of file.environments) draft.environment(environment.name, environment.description);
  for (const flag of file.flags) draft.flag(flag);
  for (const targeting of file.targetings) draft.targeting(targeting);
  for (const segment of file.segments) {
    const named = clone(SegmentSchema, segment);
    named.environment ||= settings.environment;
    draft.segment(named.key, putSegment(named));
  }
  draft.completeNewFlags();
  return draft.finish();
}

class Draft {
  readonly #changes = new Map<RecordId, RecordChange>();
  readonly #refused: RefusedItem[] = [];
  readonly #newEnvironments = new Set<string>();
  readonly #newFlags: Flag[] = [];
  readonly #targeted = new Set<RecordId>();

  constructor(
    readonly settings: ImportSettings,
    readonly catalog: Catalog,
    readonly leftOut: LeftOut,
  ) {}

  environment(name: string, description: string): void {
    const current = this.catalog.environment(name);
    if (current === undefined) {
      const created = create(EnvironmentSchema, { name, description });
      for (const change of initialRecords(this.catalog, created, "")) this.#put(change);
      this.#newEnvironments.add(name);
      this.#put(putEnvironment(created));
    } else if (description !== "") {
      const changed = clone(EnvironmentSchema, current);
      changed.description = description;
      this.#put(putEnvironment(changed));
    }
  }

  flag(flag: Flag): void {
    const { key } = flag;
    if (this.leftOut.has(leftOutFlag(key))) return;
    const current = this.catalog.flag(key);
    const change = putFlag(clone(FlagSchema, flag));
    const reserved = this.catalog.reservedKey(key) !== undefined;
    if (this.#changes.has(change.id)) {
      this.#refuse(key, "flag.key", "is in the file twice");
    } else if (reserved && !this.settings.force) {
      this.#refuse(key, "flag.key", "is the key of a deleted flag; force takes it all the same");
    } else {
      if (reserved) this.#put(remove(reservedKeyId(key)));
      if (current === undefined) this.#newFlags.push(flag);
      this.#put(change);
    }
  }

  targeting(targeting: Targeting): void {
    if (this.leftOut.has(leftOutFlag(targeting.flagKey))) return;
    const named = clone(TargetingSchema, targeting);
    named.environment ||= this.settings.environment;
    const current = this.catalog.targeting(named.environment, named.flagKey);
    if (current !== undefined) {
      // A file neither kills nor revives a flag that is in use: it may be older than the incident.
      if (current.killed) named.killed = current.killed;
      else delete named.killed;
    }
    const change = putTargeting(withRuleIds(named));
    // Not `#changes`: a new environment has initial targetings there already, for these to replace.
    if (this.#targeted.has(change.id)) {
      this.#refuse(named.flagKey, "targeting.flag_key", `has two targetings for ${named.environment} in the file`);
    } else {
      this.#targeted.add(change.id);
      this.#put(change);
    }
  }

  segment(key: string, change: RecordChange): void {
    if (this.leftOut.has(leftOutSegment(key))) return;
    if (this.#changes.has(change.id)) this.#refuse(key, "segment.key", "is in the file twice");
    else this.#put(change);
  }

  /** A new flag has settings everywhere, as one that is created by hand. */
  completeNewFlags(): void {
    const environments = [...this.catalog.environmentNames(), ...this.#newEnvironments];
    for (const flag of this.#newFlags) {
      for (const environment of environments) {
        const change = putTargeting(initialTargeting(flag, environment));
        if (!this.#changes.has(change.id)) this.#put(change);
      }
    }
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

/** What leaving a finding's culprit out is called; undefined where it is nothing that the file could leave out. */
export function culpritOf(finding: Finding, file: FlagFile): string | undefined {
  if (finding.kind === "flag") {
    const named = file.flags.some(({ key }) => key === finding.key);
    const targeted = named || file.targetings.some(({ flagKey }) => flagKey === finding.key);
    return targeted ? leftOutFlag(finding.key) : undefined;
  }
  if (finding.kind !== "segment") return undefined;
  return file.segments.some(({ key }) => key === finding.key) ? leftOutSegment(finding.key) : undefined;
}
