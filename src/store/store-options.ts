import type { WindowBounds } from "./live-log.js";
import type { HistoryBounds } from "./write-commit.js";

export interface BoundsOptions {
  /** How much history is kept. See HistoryBounds for the defaults. */
  readonly history?: Partial<HistoryBounds> | undefined;
  /** How much of it is held in memory for all tails. See WindowBounds for the defaults. */
  readonly window?: Partial<WindowBounds> | undefined;
}

const DEFAULT_HISTORY: HistoryBounds = { maxEntries: 100_000, maxBytes: 256 * 2 ** 20 };
const DEFAULT_WINDOW: WindowBounds = { maxEntries: 1_024, maxBytes: 8 * 2 ** 20 };

export function resolveBounds(options: BoundsOptions): {
  readonly history: HistoryBounds;
  readonly window: WindowBounds;
} {
  return { history: { ...DEFAULT_HISTORY, ...options.history }, window: { ...DEFAULT_WINDOW, ...options.window } };
}
