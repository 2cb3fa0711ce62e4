import type { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Position, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import type { Context } from "./context.js";
import type { Outcome } from "./outcome.js";
import type { Problem } from "./problem.js";

/** A flag ready to answer. */
export interface CompiledFlag {
  readonly key: string;
  readonly type: FlagType;
  /**
   * Selects an outcome. Never waits or reads a clock, and throws only what a getter or `toJSON` of the caller's own context
   * does. `now` (epoch ms) matters only where `usesNow`.
   */
  readonly select: (context: Context, now: number) => Outcome;
  /** Whether the answer may depend on the time, here or in a prerequisite or segment. */
  readonly usesNow: boolean;
  /** Empty, or why every answer is MALFORMED_FLAG (but for a killed flag, which still answers its off variant). */
  readonly problems: readonly Problem[];
}

/**
 * The flags and segments of one environment at one revision: an immutable value, the same type in the server and in a
 * mirror.
 */
export interface Snapshot {
  readonly environment: string;
  readonly position: Position;
  /** See UpdateCommit.digest. */
  readonly digest: string;
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
  /** The items that would make this snapshot from nothing, flags and segments sorted by key. */
  items(): WatchItem[];
  /** The snapshot after an update: `full` replaces everything, `delta` only the items given. Never throws. */
  apply(kind: "full" | "delta", items: readonly WatchItem[], position: Position): Snapshot;
}
