import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import type { Finding } from "./findings.js";
import { fromFlagdFlag } from "./from-flagd-flag.js";
import { isJsonObject, ownMember, quote } from "./json.js";
import { Place } from "./place.js";

/** How a flagd file is taken over. */
export interface FlagdImportOptions {
  /** The environment that the flags' settings are for. */
  readonly environment: string;
}

/** What a flagd file holds, in our terms. */
export interface FlagdImport {
  readonly kind: "imported";
  /** The flags that could be translated, with their targeting. */
  readonly file: FlagFile;
  /** Why each other flag was left out, in the file's order; a flag may be named several times. */
  readonly refused: readonly Finding[];
  /** Where a translated flag can answer otherwise than in flagd, for contexts that few have. */
  readonly warnings: readonly Finding[];
}

/** A file that is no flagd file at all. */
export interface UnreadableFlagdFile {
  readonly kind: "unreadable";
  /** The place inside the file; empty: the file. */
  readonly path: string;
  readonly description: string;
}

/**
 * Whether JSON, as text or parsed, is a flagd file rather than a native one: its `flags` are a map, or a list of objects
 * with `state`, which native flags do not have.
 */
export function isFlagdFile(json: unknown): boolean {
  const file = parse(json);
  if (!isJsonObject(file)) return false;
  const flags = ownMember(file, "flags");
  if (isJsonObject(flags)) return true;
  if (!Array.isArray(flags)) return false;
  return flags.some((flag) => isJsonObject(flag) && Object.hasOwn(flag, "state") && !Object.hasOwn(flag, "type"));
}

/**
 * Translates a flagd flag definition file, as text or parsed JSON. Each flag either answers as in flagd's Go daemon
 * (core 0.15 and later) or is refused by name, whatever the others are. The limits of that are listed at Comparisons and
 * given as warnings where a flag meets them.
 *
 * Sources: flagd-schemas (flags.json, targeting.json), flagd's evaluator, jsonlogic.com.
 */
export function fromFlagdFile(json: unknown, options: FlagdImportOptions): FlagdImport | UnreadableFlagdFile {
  const parsed = parse(json);
  if (parsed instanceof SyntaxError) return unreadable("", `is not JSON: ${parsed.message}`);
  if (!isJsonObject(parsed)) return unreadable("", "is not a JSON object");
  const flags = ownMember(parsed, "flags");
  if (flags === undefined) return unreadable("flags", "is missing");
  if (flags === null || typeof flags !== "object") return unreadable("flags", "is neither a map nor a list of flags");
  const evaluators = ownMember(parsed, "$evaluators") ?? {};
  if (!isJsonObject(evaluators)) return unreadable("$evaluators", "is not a map");
  const metadata = ownMember(parsed, "metadata") ?? {};
  if (!isJsonObject(metadata)) return unreadable("metadata", "is not a map");
  const scope = { environment: options.environment, evaluators, metadata };
  const found: { flags: Flag[]; targetings: Targeting[] } = { flags: [], targetings: [] };
  const refused: Finding[] = [];
  const warnings: Finding[] = [];
  for (const entry of Array.isArray(flags) ? listEntries(flags, refused) : mapEntries(flags)) {
    const result = fromFlagdFlag(entry.key, entry.flag, entry.place, scope);
    if (result.kind === "refused") {
      refused.push(...result.refused);
      continue;
    }
    found.flags.push(result.flag);
    found.targetings.push(result.targeting);
    warnings.push(...result.warnings);
  }
  return { kind: "imported", file: create(FlagFileSchema, found), refused, warnings };
}

interface Entry {
  readonly key: string;
  readonly flag: JsonValue;
  readonly place: Place;
}

function mapEntries(flags: JsonObject): readonly Entry[] {
  const place = new Place("flags");
  return Object.entries(flags).map(([key, flag]) => ({ key, flag, place: place.member(key) }));
}

function listEntries(flags: readonly JsonValue[], refused: Finding[]): readonly Entry[] {
  const entries: Entry[] = [];
  const seen = new Set<string>();
  for (const [index, flag] of flags.entries()) {
    const place = new Place("flags").element(index);
    const key = isJsonObject(flag) ? ownMember(flag, "key") : undefined;
    if (typeof key !== "string") {
      const path = isJsonObject(flag) ? place.member("key").path : place.path;
      refused.push({ key: "", path, description: isJsonObject(flag) ? "is not text" : "is not an object" });
    } else if (seen.has(key)) {
      refused.push({ key, path: place.member("key").path, description: `another flag has the key ${quote(key)}` });
    } else {
      seen.add(key);
      entries.push({ key, flag, place });
    }
  }
  return entries;
}

function unreadable(path: string, description: string): UnreadableFlagdFile {
  return { kind: "unreadable", path, description };
}

function parse(json: unknown): unknown {
  if (typeof json !== "string") return json;
  try {
    return JSON.parse(json);
  } catch (error) {
    return error;
  }
}
