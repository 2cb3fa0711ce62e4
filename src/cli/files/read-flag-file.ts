import type { Readable } from "node:stream";
import { fromFlagdFile, isFlagdFile } from "../../flagd/index.js";
import { usageFailure } from "../failure.js";
import { readInput } from "../read-input.js";
import { type DecodedFlagFile, decodeFlagFile } from "./decode-flag-file.js";
import { parseText } from "./parse-text.js";

/** A file of flags in our terms, whatever its format was. */
export interface FlagFileContent extends DecodedFlagFile {
  readonly format: "native" | "flagd";
  /** Where a translated flag may answer otherwise than in flagd. */
  readonly warnings: readonly string[];
}

/** Reads flags from a file, or from standard input for `-`. `environment` is whose settings flagd's flags become. */
export async function readFlagFile(path: string, stdin: Readable, environment: string): Promise<FlagFileContent> {
  const name = path === "-" ? "standard input" : path;
  return parseFlagFile(await readInput(path, stdin), name, environment);
}

/** Parses a flag file; the format is found out from the content. `name` is for complaints, and its ending counts. */
export function parseFlagFile(content: string, name: string, environment: string): FlagFileContent {
  const json = parseText(content, name);
  return isFlagdFile(json) ? fromFlagd(json, name, environment) : fromNative(json, name);
}

function fromNative(json: unknown, name: string): FlagFileContent {
  return { format: "native", warnings: [], ...decodeFlagFile(json, name) };
}

function fromFlagd(json: unknown, name: string, environment: string): FlagFileContent {
  const result = fromFlagdFile(json, { environment });
  if (result.kind === "unreadable") {
    throw usageFailure(`${name} is no flagd file: ${[result.path, result.description].join(" ").trim()}`);
  }
  return {
    format: "flagd",
    file: result.file,
    refused: result.refused.map(({ key, path, description }) => ({ key, field: path, description })),
    warnings: result.warnings.map(({ key, path, description }) => `${key}: ${path}: ${description}`),
  };
}
