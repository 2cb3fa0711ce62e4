import { create, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { FlagStateSchema, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";
import { ExportScope } from "./export-scope.js";
import { type Finding, Findings } from "./findings.js";
import { Place } from "./place.js";
import { toFlagdTargeting } from "./to-targeting.js";

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
 *
 * A disabled flag of flagd answers the caller's own default. One that is off here but has an off variant is therefore
 * written as an enabled one that always answers the off variant.
 */
export function toFlagdFile(file: FlagFile, environment: string): FlagdExport {
  const belongs = (owner: { readonly environment: string }): boolean => {
    return owner.environment === "" || owner.environment === environment;
  };
  const targetings = new Map(file.targetings.filter(belongs).map((targeting) => [targeting.flagKey, targeting]));
  const segments = new Map(file.segments.filter(belongs).map((segment) => [segment.key, segment]));
  const snapshot = compile(file.flags, targetings, segments, environment);
  const flags: [string, JsonValue][] = [];
  const left: Finding[] = [];
  const warnings: Finding[] = [];
  for (const flag of file.flags) {
    const findings = new Findings(flag.key);
    for (const { field, description } of snapshot.flag(flag.key)?.problems ?? []) {
      findings.refuse(new Place(field), description);
    }
    const targeting = targetings.get(flag.key) ?? create(TargetingSchema);
    const definition = toFlagdFlag(flag, targeting, segments, findings);
    left.push(...findings.refused);
    if (findings.refused.length > 0) continue;
    flags.push([flag.key, definition]);
    warnings.push(...findings.warnings);
  }
  if (flags.some(([key]) => targetings.get(key)?.rules.length)) {
    warnings.unshift({ key: "", path: "", description: LIST_WARNING });
  }
  const json = { $schema: "https://flagd.dev/schema/v0/flags.json", flags: Object.fromEntries(flags) };
  return { json, left, warnings };
}

function toFlagdFlag(
  flag: Flag,
  targeting: Targeting,
  segments: ReadonlyMap<string, Segment>,
  findings: Findings,
): JsonObject {
  const variants = Object.entries(flag.variants).map(([name, value]) => [name, toJson(ValueSchema, value)]);
  const definition: JsonObject = { state: "ENABLED", variants: Object.fromEntries(variants) };
  if (flag.description !== "") definition.description = flag.description;
  if (flag.metadata !== undefined) definition.metadata = flag.metadata;
  const isOff = !targeting.enabled || targeting.killed !== undefined;
  if (isOff && targeting.offVariant !== "") return { ...definition, defaultVariant: targeting.offVariant };
  if (!isOff) return { ...definition, ...toFlagdTargeting(targeting, new ExportScope(flag.key, segments, findings)) };
  // The rules of a disabled flag are kept for the day it is enabled, but it can do without.
  const attempt = new Findings(flag.key);
  const rules = toFlagdTargeting(targeting, new ExportScope(flag.key, segments, attempt));
  const [problem] = attempt.refused;
  if (problem === undefined) return { ...definition, state: "DISABLED", ...rules };
  findings.warn(new Place(problem.path), `${problem.description}, so the flag, which is off, is written without rules`);
  return { ...definition, state: "DISABLED", defaultVariant: null };
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
