import type { Context, CountedOutcome, Snapshot } from "../../engine/index.js";

/** Is told of every answer that this process gives. In the path of calls: it must be quick, and must not throw. */
export interface AnswerObserver {
  answered(outcome: CountedOutcome, snapshot: Snapshot, context: Context): void;
}
