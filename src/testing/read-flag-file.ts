import { readFileSync } from "node:fs";
import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { expandEnumNames, type JsonProblem } from "../base/index.js";
import { fromFlagdFile, isFlagdFile } from "../flagd/index.js";

/** A flag file in its native form, parsed: `FlagFile` in protobuf's JSON form, enum values also by their short names. */
export interface FlagFileJson {
  readonly flags: readonly object[];
  readonly targetings?: readonly object[];
  readonly segments?: readonly object[];
  readonly environments?: readonly object[];
  readonly segmentKeys?: readonly object[];
}

/** A file of flagd's flag definitions, parsed. */
export interface FlagdFileJson {
  readonly flags: Readonly<Record<string, object>> | readonly object[];
  readonly $evaluators?: object;
  readonly metadata?: object;
}

/** A parsed flag file, or the path or `file:` URL of one in JSON. */
export type FlagFileSource = FlagFileJson | FlagdFileJson | string | URL;

/** Whether it is a flag file rather than flags by key, of which one may be named `flags`. */
export function isFlagFile(source: unknown): source is FlagFileSource {
  if (isPath(source)) return true;
  if (typeof source !== "object" || source === null || !("flags" in source)) return false;
  const { flags } = source;
  // No flag has a list for its value, and none is named `$schema`.
  if (Array.isArray(flags) || "$schema" in source) return true;
  return isFlagdFile(source) && Object.values(flags as object).some(hasVariants);
}

/**
 * A flag file in protobuf's full JSON form. flagd's flags get their settings in `environment`. Throws a `TypeError` for what
 * is no flag file, and names each thing in it that there is not or that cannot be translated.
 */
export function readFlagFile(source: FlagFileSource, environment: string): JsonValue {
  const name = nameOf(source);
  const parsed = isPath(source) ? readJson(source) : source;
  if (isFlagdFile(parsed)) return fromFlagd(parsed, name, environment);
  const flags: unknown = typeof parsed === "object" && parsed !== null && "flags" in parsed ? parsed.flags : undefined;
  if (!Array.isArray(flags)) throw new TypeError(`${name} is no flag file: it has no list named flags`);
  return fromNative(parsed as JsonValue, name);
}

/** A flag file's name, in messages. */
export function nameOf(source: FlagFileSource): string {
  return isPath(source) ? String(source) : "the flag file";
}

function fromNative(parsed: JsonValue, name: string): JsonValue {
  const problems: JsonProblem[] = [];
  const full = expandEnumNames(FlagFileSchema, parsed, "", problems);
  if (problems.length === 0) return full;
  throw new TypeError(`${name}: ${problems.map(({ place, description }) => `${place}: ${description}`).join("; ")}`);
}

function fromFlagd(parsed: unknown, name: string, environment: string): JsonValue {
  const result = fromFlagdFile(parsed, { environment });
  if (result.kind === "unreadable") {
    throw new TypeError(`${name} is no flagd file: ${[result.path, result.description].join(" ").trim()}`);
  }
  if (result.refused.length === 0) return toJson(FlagFileSchema, result.file);
  throw new TypeError(`${name}: ${result.refused.map(({ path, description }) => `${path} ${description}`).join("; ")}`);
}

function readJson(path: string | URL): unknown {
  if (/\.ya?ml$/i.test(String(path))) {
    throw new TypeError(`${path}: YAML is not read here; pass what a YAML parser makes of it, or convert it to JSON`);
  }
  const text = readFileSync(path, "utf8");
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new TypeError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function isPath(source: unknown): source is string | URL {
  return typeof source === "string" || source instanceof URL;
}

function hasVariants(flag: unknown): boolean {
  return typeof flag === "object" && flag !== null && "variants" in flag;
}
