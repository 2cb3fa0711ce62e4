import type { Call } from "../handlers.js";

/** The header by which a caller names itself where no token tells who it is. */
const AUTHOR_HEADER = "flagwire-author";

/** Who makes a change, for history. */
export function authorOf(call: Call): string {
  const { identity } = call;
  if (identity?.tokenId !== undefined || identity?.certificateName !== undefined) return identity.name;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const name = (call.header(AUTHOR_HEADER) ?? "").replace(/[\u0000-\u001f\u007f]/g, "").trim();
  return name === "" ? "anonymous" : name.slice(0, 256);
}
