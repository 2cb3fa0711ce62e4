import type { Outcome, Snapshot } from "../engine/index.js";
import { OutcomeAnswer } from "./encoded-answer.js";

/**
 * The answer of each outcome at the revision that last asked for it. Outcomes are frozen and live as long as their
 * snapshot, so what is made of one is made once. Large ones are made for each call: a value that many rules serve is one in the
 * snapshot, but in the answer of every rule.
 */
const answers = new WeakMap<Outcome, OutcomeAnswer>();
const MAX_KEPT_BYTES = 65_536;

export function answerOf(outcome: Outcome, { position }: Snapshot): OutcomeAnswer {
  const known = answers.get(outcome);
  if (known?.revision === position.revision) return known;
  const made = known?.at(position.revision) ?? OutcomeAnswer.of(outcome, position.revision);
  if (made.frame.byteLength <= MAX_KEPT_BYTES) answers.set(outcome, made);
  return made;
}
