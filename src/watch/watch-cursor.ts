import type { Frame } from "./frame.js";

/**
 * One stream's place, from which it is asked for what to send. Nothing happens to a cursor that is not asked, so whoever
 * writes slowly is sent what is the latest by then.
 */
export interface WatchCursor {
  /**
   * What to send now; ask again when the client has taken it. Undefined where there is nothing: then `onNews` is called once,
   * when there may be, or, where the stream has `ended`, never.
   */
  next(): Frame | undefined;
  /** Nothing will come any more. */
  readonly ended: boolean;
  /** Ends it and lets go of everything that it holds. Does nothing the second time. */
  close(): void;
}
