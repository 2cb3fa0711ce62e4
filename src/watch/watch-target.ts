import type { Position } from "../../gen/flagwire/v1/watch_pb.js";

/** What to watch, and from where. */
export interface WatchTarget {
  readonly environment: string;
  /** The position that the client returned. Absent: from the beginning. */
  readonly position?: Position | undefined;
  /** Ends after the first update, without a goodbye. Default false. */
  readonly once?: boolean;
}
