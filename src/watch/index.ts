export type { WatchCounts } from "./counts.js";
export { type CutSegment, cutSegment, segmentBytes, withoutKeys } from "./cut-segment.js";
export type { Publication } from "./feed.js";
export type { Frame, FrameContent } from "./frame.js";
export { createWatchHub, type WatchHub } from "./hub.js";
export { flagItemId, segmentItemId, type WatchItemId, watchItemId } from "./item.js";
export type { WatchHubOptions, WatchLimits } from "./options.js";
export type { RetainedChange } from "./retained-window.js";
export type { WatchTarget } from "./watch-target.js";
