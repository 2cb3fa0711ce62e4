/** What the hub has done since it was made, except `environments` and `watchers`, which are of now. For metrics. */
export interface WatchCounts {
  readonly environments: number;
  readonly watchers: number;
  /** Messages handed to watchers. */
  readonly frames: number;
  /** Updates begun, by kind; `deltas` are all updates after the first that carry items, and first ones from a position. */
  readonly fulls: number;
  readonly deltas: number;
  readonly nones: number;
  /** Heartbeats, those that only carry a new position included. */
  readonly heartbeats: number;
  readonly goodbyes: number;
  /** Messages put together as bytes. Far fewer than `frames` where many watch the same. */
  readonly frameEncodings: number;
  /**
   * Items encoded: each state of a flag or segment at most once (each part of a large segment counts), and a deletion once
   * for each update that carries it.
   */
  readonly itemEncodings: number;
}

/** The hub's own, running counts. */
export interface Tally {
  watchers: number;
  frames: number;
  fulls: number;
  deltas: number;
  nones: number;
  heartbeats: number;
  goodbyes: number;
  frameEncodings: number;
  itemEncodings: number;
}

export function createTally(): Tally {
  return {
    watchers: 0,
    frames: 0,
    fulls: 0,
    deltas: 0,
    nones: 0,
    heartbeats: 0,
    goodbyes: 0,
    frameEncodings: 0,
    itemEncodings: 0,
  };
}
