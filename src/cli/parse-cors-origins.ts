import { corsOriginProblem } from "../server/index.js";
import { usageFailure } from "./failure.js";

/** Reads origins that are parted by commas, or `*` for all. `what` names the option in a complaint. */
export function parseCorsOrigins(text: string, what: string): readonly string[] {
  const origins = text.split(",").map((origin) => origin.trim());
  for (const origin of origins) {
    const problem = corsOriginProblem(origin);
    if (problem !== undefined) throw usageFailure(`${what}: ${problem}`);
  }
  if (origins.length === 1 || !origins.includes("*")) return [...new Set(origins)];
  throw usageFailure(`${what}: * allows all origins already; give it alone`);
}
