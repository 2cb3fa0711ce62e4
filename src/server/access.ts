import type { Call } from "./handlers.js";
import { Refusal } from "./refusal.js";

/** The header by which a caller names itself as long as there are no tokens to tell. */
const AUTHOR_HEADER = "flagwire-author";

/**
 * Why a call is not allowed; undefined if it is. No token exists in this version, so whoever presents one presents one
 * that is unknown: it is refused rather than ignored, lest somebody believe that it protects anything.
 */
export function refuseAccess(call: Call): Refusal | undefined {
  if (call.header("authorization") === undefined) return undefined;
  return new Refusal("UNAUTHENTICATED", "TOKEN_UNKNOWN", "the token is not known to this server");
}

/** Who makes a change, for history. */
export function authorOf(call: Call): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const name = (call.header(AUTHOR_HEADER) ?? "").replace(/[\u0000-\u001f\u007f]/g, "").trim();
  return name === "" ? "anonymous" : name.slice(0, 256);
}
