import { create } from "@bufbuild/protobuf";
import { type Flag, FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { type Segment, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import {
  EnvironmentStateSchema,
  type FlagState,
  FlagStateSchema,
  type WatchItem,
  WatchItemSchema,
} from "../../../gen/flagwire/v1/watch_pb.js";
import type { Catalog } from "./catalog.js";

/** A record that a transaction created, changed or deleted: one of the two is there, or both. */
export interface ChangedRecord {
  readonly before?: Record | undefined;
  readonly after?: Record | undefined;
}

/** Everything that one environment holds. */
export function allItems(catalog: Catalog, environment: string): WatchItem[] {
  const { privateAttributes = [] } = catalog.environment(environment) ?? {};
  const flags = catalog.flagKeys().map((key) => flagItem(catalog, environment, key));
  const segments = catalog.segmentKeys(environment).map((key) => segmentItem(catalog, environment, key));
  return [...(privateAttributes.length > 0 ? [environmentItem(catalog, environment)] : []), ...flags, ...segments];
}

/**
 * What a transaction means to each of some environments, one item for each flag and segment that it touches, in the state
 * of `catalog`, which is after the transaction. An environment that it does not touch has no items.
 */
export function changedItems(
  catalog: Catalog,
  environments: readonly string[],
  changes: readonly ChangedRecord[],
): ReadonlyMap<string, WatchItem[]> {
  const touched = touchedItems(changes);
  return new Map(
    environments.map((name) => [
      name,
      [
        ...(touched.isEnvironment(name) ? [environmentItem(catalog, name)] : []),
        ...[...touched.flagsOf(name)].map((key) => flagItem(catalog, name, key)),
        ...[...touched.segmentsOf(name)].map((key) => segmentItem(catalog, name, key)),
      ],
    ]),
  );
}

/** Keys of what a transaction touches, by environment. */
export interface TouchedItems {
  /** Whether there is something else to know of the environment itself. */
  isEnvironment(name: string): boolean;
  flagsOf(environment: string): ReadonlySet<string>;
  segmentsOf(environment: string): ReadonlySet<string>;
}

export function touchedItems(changes: readonly ChangedRecord[]): TouchedItems {
  const shared = new Set<string>();
  const flags = new Map<string, Set<string>>();
  const segments = new Map<string, Set<string>>();
  const environments = new Set<string>();
  for (const { before, after } of changes) {
    const kind = (after ?? before)?.kind;
    if (kind?.case === "flag") shared.add(kind.value.key);
    else if (kind?.case === "targeting") addTo(flags, kind.value.environment, kind.value.flagKey);
    else if (kind?.case === "segment") addTo(segments, kind.value.environment, kind.value.key);
    else if (kind?.case === "environment" && !samePrivateAttributes(before, after)) environments.add(kind.value.name);
  }
  return {
    isEnvironment: (name) => environments.has(name),
    flagsOf: (environment) => new Set([...shared, ...(flags.get(environment) ?? [])]),
    segmentsOf: (environment) => segments.get(environment) ?? new Set(),
  };
}

function samePrivateAttributes(before: Record | undefined, after: Record | undefined): boolean {
  const [old = [], now = []] = [before, after].map((record) =>
    record?.kind.case === "environment" ? record.kind.value.privateAttributes : [],
  );
  return old.length === now.length && old.every((name, index) => name === now[index]);
}

function environmentItem(catalog: Catalog, name: string): WatchItem {
  const { privateAttributes = [] } = catalog.environment(name) ?? {};
  const value = create(EnvironmentStateSchema, { privateAttributes });
  return create(WatchItemSchema, { kind: { case: "environment", value } });
}

function addTo(map: Map<string, Set<string>>, environment: string, key: string): void {
  const keys = map.get(environment);
  if (keys === undefined) map.set(environment, new Set([key]));
  else keys.add(key);
}

function flagItem(catalog: Catalog, environment: string, key: string): WatchItem {
  const flag = catalog.flag(key);
  if (flag === undefined) return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: key } });
  return create(WatchItemSchema, { kind: { case: "flag", value: flagState(catalog, environment, flag) } });
}

function flagState(catalog: Catalog, environment: string, flag: Flag): FlagState {
  const targeting = catalog.targeting(environment, flag.key);
  return create(FlagStateSchema, {
    flag: forEvaluation(flag),
    ...(targeting && { targeting: withoutRamps(targeting) }),
  });
}

/** What the server will do later, and who wanted it, is nothing that mirrors need. */
function withoutRamps(targeting: Targeting): Targeting {
  return targeting.ramps.length === 0 ? targeting : create(TargetingSchema, { ...targeting, ramps: [] });
}

/** A flag without what only people read: mirrors neither need it nor should hold it. */
function forEvaluation(flag: Flag): Flag {
  return create(FlagSchema, {
    key: flag.key,
    type: flag.type,
    variants: flag.variants,
    kind: flag.kind,
    revision: flag.revision,
    ...(flag.expiresAt && { expiresAt: flag.expiresAt }),
    ...(flag.metadata && { metadata: flag.metadata }),
  });
}

function segmentItem(catalog: Catalog, environment: string, key: string): WatchItem {
  const segment = catalog.segment(environment, key);
  return create(WatchItemSchema, {
    kind: segment ? { case: "segment", value: forWatch(segment) } : { case: "deletedSegmentKey", value: key },
  });
}

/** Characters of the keys of a segment, from which on it may be sent in parts. Far less than a message may be. */
const LARGE_LENGTH = 65_536;

/**
 * A segment that may be sent in parts says how many keys it has. It depends on nothing but the segment, because it makes a
 * difference to the digest.
 */
function forWatch(segment: Segment): Segment {
  const { included, excluded } = segment;
  let length = 0;
  for (const keys of [included, excluded]) {
    for (const key of keys) {
      length += key.length + 2;
      if (length > LARGE_LENGTH) {
        const counts = { includedCount: included.length, excludedCount: excluded.length };
        return create(SegmentSchema, { ...segment, ...counts });
      }
    }
  }
  return segment;
}
