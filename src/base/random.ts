/** Chance as a parameter: a number from 0 (included) to 1 (excluded), like `Math.random`. */
export type Random = () => number;

/** The runtime's own generator. Not for secrets. */
export const systemRandom: Random = () => Math.random();
