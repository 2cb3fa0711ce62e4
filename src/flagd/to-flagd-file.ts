import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { FlagStateSchema, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";
import type { Finding } from "./findings.js";
import type { FlagSource } from "./flag-source.js";
import { toFlagdFlag } from "./to-flagd-flag.js";

/** Flags of one environment in flagd's terms. */
export interface FlagdExport {
  /** The flag definition file. */
  readonly json: JsonObject;
  /** The flags that flagd cannot express; they are not in the file. Paths are within the flag, its targeting included. */
  readonly left: readonly Finding[];
  /** Where an exported flag can answer otherwise in flagd, for contexts that few have. */
  readonly warnings: readonly Finding[];
}

const LIST_WARNING =
  "flagd compares an attribute that is a list as a whole, or fails; here a match holds if one of its elements matches";

/**
 * Translates the flags of one environment to a flagd flag definition file. Each flag either answers there as it does here
 * or is left out and named. Owner, tags, ticket, expiry and rule ids have no place in flagd.
 */
export function toFlagdFile(file: FlagFile, environment: string): FlagdExport {
  const source = sourceOf(file, environment);
  const flags: [string, JsonValue][] = [];
  const left: Finding[] = [];
  const warnings: Finding[] = [];
  for (const flag of file.flags) {
    const translated = toFlagdFlag(flag, source, "file");
    left.push(...translated.left);
    if (translated.definition === undefined) continue;
    flags.push([flag.key, translated.definition]);
    warnings.push(...translated.warnings);
  }
  if (flags.some(([key]) => source.targeting(key)?.rules.length)) {
    warnings.unshift({ key: "", path: "", description: LIST_WARNING });
  }
  const json = { $schema: "https://flagd.dev/schema/v0/flags.json", flags: Object.fromEntries(flags) };
  return { json, left, warnings };
}

function sourceOf(file: FlagFile, environment: string): FlagSource {
  const belongs = (owner: { readonly environment: string }): boolean => {
    return owner.environment === "" || owner.environment === environment;
  };
  const flags = new Map(file.flags.map((flag) => [flag.key, flag]));
  const targetings = new Map(file.targetings.filter(belongs).map((targeting) => [targeting.flagKey, targeting]));
  const segments = new Map(file.segments.filter(belongs).map((segment) => [segment.key, segment]));
  const snapshot = compile(file.flags, targetings, segments, environment);
  return {
    flag: (key) => flags.get(key),
    targeting: (key) => targetings.get(key),
    segment: (key) => segments.get(key),
    problems: (key) => snapshot.flag(key)?.problems ?? [],
  };
}

function compile(
  flags: readonly Flag[],
  targetings: ReadonlyMap<string, Targeting>,
  segments: ReadonlyMap<string, Segment>,
  environment: string,
): Snapshot {
  const items: WatchItem[] = [];
  for (const flag of flags) {
    const targeting = targetings.get(flag.key);
    const value = create(FlagStateSchema, targeting ? { flag, targeting } : { flag });
    items.push(create(WatchItemSchema, { kind: { case: "flag", value } }));
  }
  for (const value of segments.values()) items.push(create(WatchItemSchema, { kind: { case: "segment", value } }));
  return emptySnapshot(environment).apply("full", items, create(PositionSchema));
}
