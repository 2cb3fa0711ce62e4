import type { Outcome } from "../../engine/index.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { EncodedMessage } from "./encoded-message.js";

/** Large answers are made for each call: a value that many rules serve is one in the snapshot, but in the answer of every rule. */
const MAX_KEPT_BYTES = 65_536;

/** What one method answers of each outcome, made once: outcomes are frozen and live as long as their snapshot. */
export class KeptByOutcome {
  readonly #answers = new WeakMap<Outcome, OrRefusal<EncodedMessage>>();
  readonly #make: (outcome: Outcome) => OrRefusal<EncodedMessage>;

  constructor(make: (outcome: Outcome) => OrRefusal<EncodedMessage>) {
    this.#make = make;
  }

  of(outcome: Outcome): OrRefusal<EncodedMessage> {
    const known = this.#answers.get(outcome);
    if (known !== undefined) return known;
    const made = this.#make(outcome);
    if (isRefusal(made) || made.sizeBytes <= MAX_KEPT_BYTES) this.#answers.set(outcome, made);
    return made;
  }
}
