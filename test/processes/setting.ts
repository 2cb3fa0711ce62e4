import type { Recording } from "./recording.js";

/** What the clients of a run share. */
export interface Setting {
  readonly recording: Recording;
  /** Of the data directory. */
  readonly epoch: string;
  /**
   * What is asked, where every answer must be as new as all before it: a server of one process, restarts included.
   * Undefined: one of several processes answers, and it is not known which.
   */
  readonly through: string | undefined;
  readonly writeTimeoutMs: number;
  /** The longest that a writer or evaluator waits between calls. */
  readonly pauseMs: number;
  /** How long a watcher puts up with silence. */
  readonly silenceMs: number;
}
