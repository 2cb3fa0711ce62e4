import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Answer, Refused, VectorCase } from "../vectors-source/vector-file.js";

/** A file of vectors, read. */
export interface Vectors {
  /** The file's name without its folder. */
  readonly name: string;
  readonly file: FlagFile;
  /** Empty where every flag and segment is sound. */
  readonly refused: Refused;
  readonly cases: readonly VectorCase[];
}

/** A file that is not what test/vectors/README.md describes. */
export class NotVectors extends Error {
  override readonly name = "NotVectors";
}

/** Reads a file of vectors. Throws NotVectors where it cannot be read or is something else. */
export function readVectors(path: string): Vectors {
  try {
    const document = parse(readText(path));
    if (!isObject(document)) throw new Error("is no JSON object");
    const { file, refused = {}, cases } = document;
    if (!isObject(file)) throw new Error("has no flags under file; test/vectors/README.md tells the format");
    if (!isObject(refused)) throw new Error("refused is no object");
    return {
      name: basename(path),
      file: fromJson(FlagFileSchema, file as JsonValue),
      refused: { flags: texts(refused.flags, "refused.flags"), segments: texts(refused.segments, "refused.segments") },
      cases: toCases(cases),
    };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // A parser quotes what it stumbles over, line breaks and all.
    throw new NotVectors(`${path}: ${said.replace(/\s+/g, " ")}`);
  }
}

function readText(path: string): string {
  if (statSync(path).isDirectory()) throw new Error("is a folder; name the files in it");
  return readFileSync(path, "utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`is no JSON: ${(error as Error).message}`);
  }
}

/** What a case expects, with nothing else. */
export function expectedOf({ flagKey: _flagKey, context: _context, ...answer }: VectorCase): Answer {
  return answer;
}

export const flagNotFound: Answer = { reason: "ERROR", errorCode: "FLAG_NOT_FOUND" };

/** What a case expects of a host that takes over only what is sound: to it, a flag that it refused does not exist. */
export function expectedOfStrict({ refused }: Vectors): (vector: VectorCase) => Answer {
  const refusedKeys = new Set(refused.flags);
  return (vector) => (refusedKeys.has(vector.flagKey) ? flagNotFound : expectedOf(vector));
}

function toCases(cases: unknown): VectorCase[] {
  if (!Array.isArray(cases)) throw new Error("has no list of cases; test/vectors/README.md tells the format");
  if (cases.length === 0) throw new Error("has no cases");
  for (const [index, vector] of cases.entries()) {
    const isCase = isObject(vector) && typeof vector.flagKey === "string" && typeof vector.reason === "string";
    if (!isCase || !isObject(vector.context)) throw new Error(`cases[${index}] lacks flagKey, context or reason`);
  }
  return cases;
}

function texts(value: unknown = [], name: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new Error(`${name} is no list of strings`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
