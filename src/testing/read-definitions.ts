import { readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { FlagState, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { expandEnumNames, type JsonProblem } from "../base/index.js";
import { bootstrapSnapshot } from "../client/index.js";
import type { Snapshot } from "../engine/index.js";
import { flagOf, newFlag } from "./flag-state.js";
import type { TestValue, VariantValues } from "./test-value.js";

/** Flags by key: the value that each serves, or its variants. */
export interface TestValues {
  readonly [key: string]: TestValue | VariantValues;
}

/** A flag file in its native form, parsed: `FlagFile` in protobuf's JSON form, enum values also by their short names. */
export interface FlagFileJson {
  readonly flags: readonly object[];
  readonly targetings?: readonly object[];
  readonly segments?: readonly object[];
  readonly environments?: readonly object[];
  readonly segmentKeys?: readonly object[];
}

/** Where flags come from: values, a parsed flag file, or the path of one in JSON. */
export type TestFlagsSource = TestValues | FlagFileJson | string;

/** The flags and segments of one environment. */
export interface Definitions {
  readonly flags: ReadonlyMap<string, FlagState>;
  readonly segments: readonly WatchItem[];
}

/** Throws a `TypeError` that says what is wrong with the flags. */
export function readDefinitions(source: TestFlagsSource, environment: string): Definitions {
  const named = typeof source === "string" ? source : "the flag file";
  const parsed = typeof source === "string" ? readJson(source) : source;
  if (!isFlagFile(parsed)) {
    if (typeof source === "string") throw new TypeError(`${named} is no flag file: it has no list named flags`);
    return fromValues(parsed as TestValues);
  }
  let snapshot: Snapshot;
  try {
    const file = fullFlagFile(parsed);
    refuseUnknownEnvironment(file, environment);
    snapshot = bootstrapSnapshot(file, environment);
  } catch (error) {
    throw new TypeError(`${named}: ${(error as Error).message}`, { cause: error });
  }
  refuseMalformed(snapshot);
  const items = snapshot.items();
  const flags = new Map<string, FlagState>();
  for (const { kind } of items) if (kind.case === "flag") flags.set(flagOf(kind.value).key, kind.value);
  return { flags, segments: items.filter(({ kind }) => kind.case === "segment") };
}

/** No flag has a list for its value, so one named `flags` tells that it is a file. */
export function isFlagFile(source: unknown): source is FlagFileJson {
  return typeof source === "object" && source !== null && "flags" in source && Array.isArray(source.flags);
}

/** A flag file's JSON with all that may be written short written out. Throws a `TypeError` that names what there is not. */
export function fullFlagFile(file: FlagFileJson): JsonValue {
  const problems: JsonProblem[] = [];
  const full = expandEnumNames(FlagFileSchema, file as unknown as JsonValue, "", problems);
  if (problems.length === 0) return full;
  throw new TypeError(problems.map(({ place, description }) => `${place}: ${description}`).join("; "));
}

/** Parses a JSON file. Throws a `TypeError` where it is none. */
export function readJson(path: string): unknown {
  if (/\.ya?ml$/i.test(path)) {
    throw new TypeError(`${path}: YAML is not read here; pass what a YAML parser makes of it, or convert it to JSON`);
  }
  const text = readFileSync(path, "utf8");
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new TypeError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function fromValues(values: TestValues): Definitions {
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    const found = Array.isArray(values) ? "a list" : String(values);
    throw new TypeError(`flags come as an object of values by key, not as ${found}`);
  }
  return { flags: new Map(Object.entries(values).map(([key, value]) => [key, newFlag(key, value)])), segments: [] };
}

/** On a server too `production` is always there, and others are if something names them. */
function refuseUnknownEnvironment(json: JsonValue, environment: string): void {
  if (environment === PRODUCTION) return;
  const { environments, targetings, segments, segmentKeys } = fromJson(FlagFileSchema, json);
  const settings = [...targetings, ...segments, ...segmentKeys].filter((part) => part.environment !== "");
  const known = new Set([
    PRODUCTION,
    ...environments.map(({ name }) => name),
    ...settings.map((part) => part.environment),
  ]);
  if (known.has(environment)) return;
  throw new TypeError(`there is no environment ${JSON.stringify(environment)}; there are ${[...known].join(", ")}`);
}

/** A server would refuse them. */
function refuseMalformed(snapshot: Snapshot): void {
  const found = snapshot
    .flags()
    .flatMap(({ key, problems }) => problems.map(({ field, description }) => `${key}: ${field} ${description}`));
  if (found.length > 0) throw new TypeError(`malformed flags: ${found.join("; ")}`);
}

const PRODUCTION = "production";
