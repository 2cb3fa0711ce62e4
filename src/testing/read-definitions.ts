import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { FlagState, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { bootstrapSnapshot } from "../client/index.js";
import type { Snapshot } from "../engine/index.js";
import { flagOf, newFlag } from "./flag-state.js";
import { type FlagFileSource, isFlagFile, nameOf, readFlagFile } from "./read-flag-file.js";
import { isPlainObject, type TestValue, type VariantValues } from "./test-value.js";

/** Flags by key: the value that each serves, or its variants. */
export interface TestValues {
  readonly [key: string]: TestValue | VariantValues;
}

/** Where flags come from: values by key, or a flag file. */
export type TestFlagsSource = TestValues | FlagFileSource;

/** The flags and segments of one environment. */
export interface Definitions {
  readonly flags: ReadonlyMap<string, FlagState>;
  readonly segments: readonly WatchItem[];
}

/** Throws a `TypeError` that says what is wrong with the flags. */
export function readDefinitions(source: TestFlagsSource, environment: string): Definitions {
  if (!isFlagFile(source)) return { flags: readValues(source), segments: [] };
  const snapshot = readSnapshot(source, environment);
  refuseMalformed(snapshot);
  const items = snapshot.items();
  const flags = new Map<string, FlagState>();
  for (const { kind } of items) if (kind.case === "flag") flags.set(flagOf(kind.value).key, kind.value);
  return { flags, segments: items.filter(({ kind }) => kind.case === "segment") };
}

/** The flags that values by key stand for. Throws a `TypeError` for what is no value, and no such object. */
export function readValues(values: TestValues): ReadonlyMap<string, FlagState> {
  // A map, or what a class makes, would be taken for no flags at all.
  if (!isPlainObject(values)) {
    const found = Array.isArray(values) ? "a list" : Object.prototype.toString.call(values).slice(8, -1);
    throw new TypeError(`flags come as an object of values by key, not as ${found}`);
  }
  return new Map(Object.entries(values).map(([key, value]) => [key, newFlag(key, value)]));
}

function readSnapshot(source: FlagFileSource, environment: string): Snapshot {
  const file = readFlagFile(source, environment);
  try {
    refuseUnknownEnvironment(file, environment);
    return bootstrapSnapshot(file, environment);
  } catch (error) {
    throw new TypeError(`${nameOf(source)}: ${(error as Error).message}`, { cause: error });
  }
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
