import { usageFailure } from "./failure.js";

/** Weights are thousandths of a percent, so they sum to this. */
export const totalWeight = 100_000;

/** One wanted share. */
export interface WantedShare {
  readonly variant: string;
  readonly weight: number;
}

/** What `rollout` was asked for: a share of the variant that is true, or a share for each variant named. */
export type WantedRollout =
  | { readonly kind: "percent"; readonly weight: number }
  | { readonly kind: "shares"; readonly shares: readonly WantedShare[] };

const forms =
  "give a percentage from 0% to 100% with up to three decimals and the % sign, such as 25%, or shares such as control=30,treatment=70";

/** Reads `25%` or `v=30,w=70`. Percentages have up to three decimals; shares sum to 100. */
export function parseRollout(text: string): WantedRollout {
  if (!text.includes("=")) {
    const weight = text.endsWith("%") ? parseWeight(text) : undefined;
    if (weight === undefined) throw usageFailure(`${JSON.stringify(text)} is not a share: ${forms}`);
    return { kind: "percent", weight };
  }
  const shares = text.split(",").map(parseShare);
  const twice = shares.find((share, index) => shares.findIndex(({ variant }) => variant === share.variant) !== index);
  if (twice !== undefined) throw usageFailure(`the variant ${JSON.stringify(twice.variant)} has two shares`);
  const sum = shares.reduce((total, { weight }) => total + weight, 0);
  if (sum !== totalWeight) throw usageFailure(`the shares sum to ${toPercent(sum)}, not to 100%`);
  return { kind: "shares", shares };
}

/** A weight as a percentage, such as `12.5%`. */
export function toPercent(weight: number, total = totalWeight): string {
  return `${Number(((weight / total) * 100).toFixed(3))}%`;
}

function parseShare(text: string): WantedShare {
  // A variant's name may hold an equals sign; a percentage does not.
  const at = text.lastIndexOf("=");
  const variant = text.slice(0, Math.max(at, 0)).trim();
  const weight = parseWeight(text.slice(at + 1).trim());
  if (variant === "" || weight === undefined) {
    throw usageFailure(`${JSON.stringify(text)} is not VARIANT=PERCENT: ${forms}`);
  }
  return { variant, weight };
}

/** Thousandths of a percent; undefined for what is none. Decimal digits, not floating point, so that 0.1 is exactly 100. */
export function parseWeight(text: string): number | undefined {
  const match = /^(\d{1,3})(?:\.(\d{1,3}))?%?$/.exec(text);
  if (match === null) return undefined;
  const weight = Number(match[1]) * 1000 + Number((match[2] ?? "").padEnd(3, "0"));
  return weight > totalWeight ? undefined : weight;
}
