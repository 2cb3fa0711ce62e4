import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { FlagStateSchema, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";
import { isCommonWarning, LIST_WARNING } from "./common-warnings.js";
import type { Finding } from "./findings.js";
import type { FlagSource } from "./flag-source.js";
import { toFlagdFlag } from "./to-flagd-flag.js";

/** Flags of one environment in flagd's terms. */
export interface FlagdExport {
  /** The flag definition file. */
  readonly json: JsonObject;
  /** The flags that flagd cannot express; they are not in the file. Paths are within the flag, its targeting included. */
  readonly left: readonly Finding[];
  /** Where exported flags can answer otherwise in flagd: first, without a key, what is said of all flags of a kind. */
  readonly warnings: readonly Finding[];
}

/**
 * Translates the flags of one environment to a flagd flag definition file. Each flag either answers there as it does here
 * or is left out and named. Description, owner, tags, ticket, expiry and rule ids have no
 * place in flagd.
 */
export function toFlagdFile(file: FlagFile, environment: string): FlagdExport {
  const source = sourceOf(file, environment);
  const flags: [string, JsonValue][] = [];
  const left: Finding[] = [];
  const warnings: Finding[] = [];
  const common = new Set<string>();
  for (const flag of file.flags) {
    const translated = toFlagdFlag(flag, source, "file");
    left.push(...translated.left);
    if (translated.definition === undefined) continue;
    flags.push([flag.key, translated.definition]);
    if (source.targeting(flag.key)?.rules.length) common.add(LIST_WARNING);
    for (const warning of translated.warnings) {
      if (isCommonWarning(warning.description)) common.add(warning.description);
      else warnings.push(warning);
    }
  }
  warnings.unshift(...Array.from(common, (description) => ({ key: "", path: "", description })));
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
