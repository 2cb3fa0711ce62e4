import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export interface SoakOptions {
  /** One seed, with its story. Excludes the others. */
  readonly seed: number | undefined;
  readonly seconds: number | undefined;
  readonly seeds: number | undefined;
  readonly from: number;
  readonly workers: number;
}

export const SOAK_USAGE = `npm run soak -- [--seconds S | --seeds N] [--from N] [--workers N]
npm run soak -- --seed N

Runs simulations of the whole system, by default for 60 s from a random seed on all cores.
--seed N tells the story of one run.`;

/** The options, or what is wrong with them. */
export function parseSoakOptions(args: readonly string[]): SoakOptions | string {
  const option = { type: "string" } as const;
  const options = { seed: option, seconds: option, seeds: option, from: option, workers: option };
  try {
    const { values } = parseArgs({ args: [...args], options });
    const numbers = new Map<string, number>();
    for (const [name, text] of Object.entries(values)) {
      const number = Number(text);
      if (text === "" || !Number.isSafeInteger(number) || number < 0) return `--${name} is no whole number: ${text}`;
      numbers.set(name, number);
    }
    const seeds = numbers.get("seeds");
    return {
      seed: numbers.get("seed"),
      seconds: numbers.get("seconds") ?? (seeds === undefined ? 60 : undefined),
      seeds,
      from: numbers.get("from") ?? Math.floor(Math.random() * 2 ** 31),
      workers: Math.max(1, numbers.get("workers") ?? availableParallelism()),
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
