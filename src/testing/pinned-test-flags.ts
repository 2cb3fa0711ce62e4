import type { Context, Flags, PinnedFlags, SnapshotFlags, SnapshotSource } from "../client/index.js";
import { AskedFlags, type Question } from "./asked-flags.js";
import type { AskedKeys } from "./asked-keys.js";

/** What pinned flags answer from. */
export interface Pin {
  readonly source: SnapshotSource;
  readonly answers: SnapshotFlags;
  /** Where some are computed. */
  readonly computed?: { prepare(key: string, context: Context | undefined): void };
}

/** Flags in memory as they were at one moment; override functions go on saying what they serve. */
export class PinnedTestFlags extends AskedFlags implements PinnedFlags {
  readonly #pin: Pin;
  readonly #keys: AskedKeys;

  constructor(pin: Pin, keys: AskedKeys) {
    super();
    this.#pin = pin;
    this.#keys = keys;
  }

  get revision(): number {
    return this.#pin.answers.revision;
  }

  keys(): string[] {
    return this.#pin.answers.keys();
  }

  protected override answering(question: Question): Flags {
    this.#keys.note(question, this.#pin.source);
    this.#pin.computed?.prepare(question.key, question.context);
    return this.#pin.answers;
  }
}
