import { create } from "@bufbuild/protobuf";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import { PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";

/** A file's flags, with their targetings, and segments as items of an update. */
export function itemsOf(file: FlagFile): WatchItem[] {
  const targetings = new Map(file.targetings.map((targeting) => [targeting.flagKey, targeting]));
  const flags = file.flags.map((flag) => {
    const targeting = targetings.get(flag.key);
    return create(WatchItemSchema, {
      kind: { case: "flag", value: targeting === undefined ? { flag } : { flag, targeting } },
    });
  });
  const segments = file.segments.map((value) => create(WatchItemSchema, { kind: { case: "segment", value } }));
  return [...flags, ...segments];
}

/** A snapshot of a file's flags and segments, at revision 1 of the epoch `test`. */
export function snapshotOf(file: FlagFile): Snapshot {
  const position = create(PositionSchema, { epoch: "test", revision: 1n });
  return emptySnapshot("production").apply("full", itemsOf(file), position);
}
