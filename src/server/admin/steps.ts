import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../base/index.js";

/** Work in small steps: at each `yield` it can be interrupted. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** How work in steps shares the process with other calls. */
export interface Turns {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** How long to work before others are let on, in milliseconds. */
  readonly turnMs: number;
  /** Resolves when others have had their turn. */
  readonly next: () => Promise<unknown>;
}

/** Turns of the event loop, 10 ms long. */
export function eventLoopTurns(clock: Pick<Clock, "monotonicMs">): Turns {
  return { clock, turnMs: 10, next: () => nextTurn() };
}

/**
 * Runs steps to their end, letting others on whenever a turn is over. Little work is done at once, without a promise.
 * `interruption` is asked after each pause: what it gives is the result, and the steps are abandoned.
 */
export function runSteps<T, I>(
  steps: Steps<T>,
  turns: Turns,
  interruption: () => I | undefined,
): T | I | Promise<T | I> {
  const { clock, turnMs } = turns;
  const startedMs = clock.monotonicMs();
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (clock.monotonicMs() - startedMs >= turnMs) break;
  }
  return goOn(steps, turns, interruption);
}

/**
 * Asynchronous, so that the promise is one of ours: who waits tells it from a result by that. In a runner's sandbox, such as
 * jest's, those of Node's own modules are of another realm.
 */
async function goOn<T, I>(steps: Steps<T>, turns: Turns, interruption: () => I | undefined): Promise<T | I> {
  await turns.next();
  return interruption() ?? runSteps(steps, turns, interruption);
}

/** Runs steps to their end at once. */
export function runAtOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
