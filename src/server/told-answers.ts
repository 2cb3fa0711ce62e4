import type { CompiledFlag, Context, CountedOutcome, Outcome, Snapshot } from "../engine/index.js";
import { isSameOutcome } from "./same-outcome.js";
import { stepsBetween } from "./snapshot-steps.js";

/** An answer to tell. */
export interface Answer {
  readonly flagKey: string;
  /** Undefined: there is no such flag. */
  readonly outcome: CountedOutcome | undefined;
}

/** What one stream is to be told. */
export interface AnswerChanges {
  /** Sorted by key. */
  readonly answers: readonly Answer[];
  /** Sorted. */
  readonly removed: readonly string[];
}

/** From which snapshot to which, and when in epoch milliseconds. Without `before` everything is told. */
export interface AnswerStep {
  readonly before: Snapshot | undefined;
  readonly now: Snapshot;
  readonly nowMs: number;
}

/** What one stream was told for its context: references to outcomes, which the snapshot holds anyway. */
export interface ToldAnswers {
  readonly context: Context;
  /** What differs from what was told, which counts as told from then on. */
  follow(step: AnswerStep): AnswerChanges;
}

/** All flags, by their places in the snapshot. */
export class AllAnswers implements ToldAnswers {
  #outcomes: (Outcome | undefined)[] = [];

  constructor(readonly context: Context) {}

  follow({ before, now, nowMs }: AnswerStep): AnswerChanges {
    const flags = now.flags();
    const answers: Answer[] = [];
    if (before === undefined) {
      this.#outcomes = flags.map((flag) => this.#select(flag, nowMs, undefined, answers));
      return { answers, removed: [] };
    }
    const { due, origins, removed } = stepsBetween(before, now);
    if (origins !== undefined) this.#move(origins);
    for (const place of due) {
      const flag = flags[place];
      if (flag !== undefined) this.#outcomes[place] = this.#select(flag, nowMs, this.#outcomes[place], answers);
    }
    return { answers, removed };
  }

  #select(flag: CompiledFlag, nowMs: number, told: Outcome | undefined, answers: Answer[]): Outcome {
    const outcome = flag.select(this.context, nowMs);
    if (told === undefined || !isSameOutcome(told, outcome)) answers.push({ flagKey: flag.key, outcome });
    return outcome;
  }

  #move(origins: Int32Array): void {
    const moved: (Outcome | undefined)[] = [];
    for (const origin of origins) moved.push(origin < 0 ? undefined : this.#outcomes[origin]);
    this.#outcomes = moved;
  }
}

/** Named flags, whether they exist or not. */
export class NamedAnswers implements ToldAnswers {
  readonly #keys: readonly string[];
  readonly #outcomes: (Outcome | undefined)[];

  /** `keys` are as many different ones. */
  constructor(
    readonly context: Context,
    keys: readonly string[],
  ) {
    this.#keys = [...keys].sort();
    this.#outcomes = this.#keys.map(() => undefined);
  }

  follow({ before, now, nowMs }: AnswerStep): AnswerChanges {
    const answers: Answer[] = [];
    for (const [place, flagKey] of this.#keys.entries()) {
      const flag = now.flag(flagKey);
      if (before !== undefined && flag === before.flag(flagKey) && flag?.usesNow !== true) continue;
      const outcome = flag?.select(this.context, nowMs);
      if (before === undefined || !isSame(this.#outcomes[place], outcome)) answers.push({ flagKey, outcome });
      this.#outcomes[place] = outcome;
    }
    return { answers, removed: [] };
  }
}

function isSame(told: Outcome | undefined, outcome: Outcome | undefined): boolean {
  return told === undefined || outcome === undefined ? told === outcome : isSameOutcome(told, outcome);
}
