import type { Setting } from "./config/find-setting.js";
import { usageFailure } from "./failure.js";

/** Reads a part of a whole, up to 1. `none`: whether it may be 0. */
export function parseShare({ text, what }: Setting, none: "allowed" | "refused"): number {
  const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (share <= 1 && (share > 0 || none === "allowed")) return share;
  const range = none === "allowed" ? "from 0 to 1" : "above 0, up to 1";
  throw usageFailure(`${what} ${JSON.stringify(text)} is not a share ${range}, such as 0.01`);
}
