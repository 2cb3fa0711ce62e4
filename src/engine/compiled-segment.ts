import type { Context } from "./context.js";
import type { Problem } from "./problem.js";

/** Whether something holds for a context. Never throws. */
export type TestContext = (context: Context, now: number) => boolean;

/** A segment ready to be asked. */
export interface CompiledSegment {
  readonly contains: TestContext;
  readonly usesNow: boolean;
  /** See ConditionScope. */
  readonly comparisons: number;
  /** How deep it uses other segments: 1 where it uses none. */
  readonly depth: number;
  /** Empty, or why nothing that uses the segment can be answered. */
  readonly problems: readonly Problem[];
}
