import { usageFailure } from "../failure.js";

/**
 * Reads some of `choices`, separated by commas, beside those of the option given before: a check is to miss none of what was asked.
 * `what` names the option in a complaint.
 */
export function parseChoices<Choice extends string>(
  what: string,
  choices: readonly Choice[],
): (text: string, before?: readonly Choice[]) => readonly Choice[] {
  return (text, before = []) => {
    const names = text.split(",").map((name) => name.trim());
    const isChoice = (name: string): name is Choice => choices.some((choice) => choice === name);
    const wrong = names.filter((name) => !isChoice(name));
    if (wrong.length === 0) return [...before, ...names.filter(isChoice)];
    const named = wrong.map((name) => JSON.stringify(name)).join(", ");
    throw usageFailure(`${what}: ${named} is none of ${choices.join(", ")}`);
  };
}
