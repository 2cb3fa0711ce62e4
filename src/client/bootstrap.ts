import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";

/** The snapshot of one environment in a flag file's JSON form, as `flagwire export` writes it. Throws for anything else. */
export function bootstrapSnapshot(json: unknown, environment: string): Snapshot {
  const file = fromJson(FlagFileSchema, json as JsonValue);
  return emptySnapshot(environment).apply("full", itemsOf(file, environment), create(PositionSchema));
}

/** Settings and segments without an environment belong to any. */
function itemsOf(file: FlagFile, environment: string): WatchItem[] {
  const isOurs = (part: { readonly environment: string }): boolean =>
    part.environment === environment || part.environment === "";
  const targetings = new Map<string, Targeting>();
  for (const targeting of file.targetings) if (isOurs(targeting)) targetings.set(targeting.flagKey, targeting);
  const items: WatchItem[] = [];
  for (const flag of file.flags) {
    const value = { flag, targeting: targetings.get(flag.key) };
    items.push(create(WatchItemSchema, { kind: { case: "flag", value } }));
  }
  for (const value of file.segments) {
    if (!isOurs(value)) continue;
    // Taken as it is, it would have nobody in it.
    if (value.keysOmitted) throw new Error(omittedKeys(value.key));
    items.push(create(WatchItemSchema, { kind: { case: "segment", value } }));
  }
  for (const value of file.segmentKeys) {
    if (isOurs(value)) items.push(create(WatchItemSchema, { kind: { case: "segmentKeys", value } }));
  }
  return items;
}

function omittedKeys(key: string): string {
  return `segment ${JSON.stringify(key)} is in it without its keys (keysOmitted); \`flagwire export\` writes them`;
}
