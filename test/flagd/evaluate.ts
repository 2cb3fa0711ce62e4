import { create } from "@bufbuild/protobuf";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import { FlagStateSchema, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Context, emptySnapshot, type Outcome, type Snapshot } from "../../src/engine/index.js";
import { type FlagdImport, fromFlagdFile } from "../../src/flagd/index.js";

/** The snapshot that a mirror would have after importing the file. */
export function toSnapshot(file: FlagFile): Snapshot {
  const items: WatchItem[] = [];
  for (const flag of file.flags) {
    const targeting = file.targetings.find(({ flagKey }) => flagKey === flag.key);
    const value = create(FlagStateSchema, targeting ? { flag, targeting } : { flag });
    items.push(create(WatchItemSchema, { kind: { case: "flag", value } }));
  }
  for (const value of file.segments) items.push(create(WatchItemSchema, { kind: { case: "segment", value } }));
  return emptySnapshot("production").apply("full", items, create(PositionSchema));
}

export function importFile(json: unknown): FlagdImport {
  const result = fromFlagdFile(json, { environment: "production" });
  if (result.kind !== "imported") throw new Error(`unreadable: ${result.path} ${result.description}`);
  return result;
}

/** A file with one flag `f` that has this targeting and the variants on, off, true, false and default. */
export function flagdFile(targeting: unknown, flag: object = {}, top: object = {}) {
  const variants = { on: "ON", off: "OFF", true: "TRUE", false: "FALSE", default: "DEFAULT" };
  return { flags: { f: { state: "ENABLED", variants, defaultVariant: "default", targeting, ...flag } }, ...top };
}

export function evaluate(result: FlagdImport, key: string, context: Context, now = 0): Outcome {
  const flag = toSnapshot(result.file).flag(key);
  if (flag === undefined) throw new Error(`no flag ${key}: ${JSON.stringify(result.refused)}`);
  return flag.select(context, now);
}

/** The variant that a targeting gives. */
export function variantOf(targeting: unknown, context: Context, now = 0): string | undefined {
  return evaluate(importFile(flagdFile(targeting)), "f", context, now).variant;
}

/** Why a targeting is refused, as `path: description`. */
export function refusalsOf(targeting: unknown, top: object = {}): string[] {
  return importFile(flagdFile(targeting, {}, top)).refused.map(({ path, description }) => `${path}: ${description}`);
}
