import { isDeepStrictEqual } from "node:util";
import { FlagdCore } from "@openfeature/flagd-core";
import type { FlagdImport } from "../../src/flagd/index.js";
import { importFile, toSnapshot } from "./evaluate.js";
import { type FlagdFile, type Json, NOW_MS } from "./generate.js";

const SILENT = { error() {}, warn() {}, info() {}, debug() {} };

/** What flagd or we answer; no variant means the caller's own default. */
export interface Answer {
  readonly variant: string | undefined;
  readonly value: unknown;
  readonly metadata: unknown;
  /** Set where flagd's evaluation fails, and so gives the caller's default. */
  readonly failed?: true;
}

/** One flag of a file, for one context, in both. */
export interface Comparison {
  readonly key: string;
  readonly targeting: Json | undefined;
  readonly context: Readonly<Record<string, Json>>;
  readonly flagd: Answer;
  readonly here: Answer;
}

/** A file in both, and what importing it found. */
export interface Compared {
  readonly imported: FlagdImport;
  readonly comparisons: readonly Comparison[];
}

/** Asks both for every flag that was imported, for every context. */
export function compareWithFlagd(file: FlagdFile, contexts: readonly Readonly<Record<string, Json>>[]): Compared {
  const text = JSON.stringify(file);
  const flagd = new FlagdCore(undefined, SILENT);
  flagd.setConfigurations(text);
  const imported = importFile(text);
  const snapshot = toSnapshot(imported.file);
  const comparisons: Comparison[] = [];
  for (const { key, select } of snapshot.flags()) {
    const { targeting } = file.flags[key] ?? {};
    for (const context of contexts) {
      const { variant, value, metadata } = select(context, NOW_MS);
      const here = { variant, value: variant === undefined ? undefined : value, metadata: metadata ?? {} };
      comparisons.push({ key, targeting, context, flagd: askFlagd(flagd, key, file, context), here });
    }
  }
  return { imported, comparisons };
}

function askFlagd(flagd: FlagdCore, key: string, file: FlagdFile, context: object): Answer {
  const { variant, value, errorCode, flagMetadata } = resolve(flagd, key, file, context);
  const failed = errorCode === undefined ? {} : ({ failed: true } as const);
  return { variant, value: variant === undefined ? undefined : value, metadata: flagMetadata, ...failed };
}

function resolve(flagd: FlagdCore, key: string, file: FlagdFile, context: object) {
  const [value] = Object.values(file.flags[key]?.variants ?? {});
  switch (typeof value) {
    case "boolean":
      return flagd.resolveBooleanEvaluation(key, false, context as never, SILENT);
    case "number":
      return flagd.resolveNumberEvaluation(key, 0, context as never, SILENT);
    case "string":
      return flagd.resolveStringEvaluation(key, "", context as never, SILENT);
    default:
      return flagd.resolveObjectEvaluation(key, {}, context as never, SILENT);
  }
}

export function isAlike({ flagd, here }: Comparison): boolean {
  const { failed: _failed, ...theirs } = flagd;
  return isDeepStrictEqual(here, theirs);
}
