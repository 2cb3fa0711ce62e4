import { usageFailure } from "../failure.js";

/** Reads some of `choices`, separated by commas. `what` names the option in a complaint. */
export function parseChoices<Choice extends string>(
  what: string,
  choices: readonly Choice[],
): (text: string) => readonly Choice[] {
  return (text) => {
    const names = text.split(",").map((name) => name.trim());
    const isChoice = (name: string): name is Choice => choices.some((choice) => choice === name);
    const wrong = names.filter((name) => !isChoice(name));
    if (wrong.length === 0) return names.filter(isChoice);
    const named = wrong.map((name) => JSON.stringify(name)).join(", ");
    throw usageFailure(`${what}: ${named} is none of ${choices.join(", ")}`);
  };
}
