import type { Position, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import type { CompiledFlag } from "./compiled-flag.js";
import type { Problem } from "./problem.js";

/**
 * The flags and segments of one environment at one revision: an immutable value, the same type in the server and in a
 * mirror.
 */
export interface Snapshot {
  readonly environment: string;
  readonly position: Position;
  /** See UpdateCommit.digest. */
  readonly digest: string;
  /** Attributes whose values must not be told; see Environment.private_attributes. */
  readonly privateAttributes: readonly string[];
  /** How many flags. */
  readonly size: number;
  /**
   * The flags that may answer differently than in the snapshot which this one was made from: those that were compiled anew,
   * because they or something that they use changed, and those that are gone.
   */
  readonly changedKeys: ReadonlySet<string>;
  flag(key: string): CompiledFlag | undefined;
  /** All flags, sorted by key. */
  flags(): readonly CompiledFlag[];
  /** Problems of segments, by key; those of flags are with the flags. */
  segmentProblems(key: string): readonly Problem[];
  /** The items that would make this snapshot from nothing, flags and segments sorted by key. Segments are whole, of any size. */
  items(): WatchItem[];
  /** The snapshot after an update: `full` replaces everything, `delta` only the items given. Never throws. */
  apply(kind: "full" | "delta", items: readonly WatchItem[], position: Position): Snapshot;
}
