import type { RequestFlags } from "./request-flags.js";

/** Whether a response lists the flags that were active for it, and the name of its header. Default: it does not. */
export type ActiveFlagsHeader = boolean | string;

const DEFAULT_NAME = "flagwire-flags";
/** What proxies and clients take among other headers. */
const MAX_BYTES = 2_048;
/** In place of those that found no room. No key looks like it, because the star of a key is written otherwise. */
const MORE = "*";
const ROOM_FOR_MORE = ", *".length;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The header's name; undefined for none. Throws a TypeError for what cannot be one. */
export function activeFlagsName(header: ActiveFlagsHeader = false): string | undefined {
  if (header === false) return undefined;
  if (header === true) return DEFAULT_NAME;
  if (typeof header !== "string" || !TOKEN.test(header)) {
    throw new TypeError(`header must be the name of a header, and is ${JSON.stringify(header)}`);
  }
  return header;
}

/**
 * The flags of those asked so far that are active, as `new-checkout, button=blue`: boolean ones that are true by key, others
 * by key and variant. Whatever is no letter, digit or one of `-_.~` is percent-encoded. At most 2,048 bytes; `*` at the end says
 * that there are more. Undefined where there are none.
 */
export function listActiveFlags({ evaluated }: RequestFlags): string | undefined {
  let list = "";
  const join = (flag: string): string => (list === "" ? flag : `${list}, ${flag}`);
  for (const [key, { variant, value }] of evaluated) {
    if (variant === undefined || value === false) continue;
    const flag = value === true ? encode(key) : `${encode(key)}=${encode(variant)}`;
    const longer = join(flag);
    if (longer.length > MAX_BYTES - ROOM_FOR_MORE) return join(MORE);
    list = longer;
  }
  return list === "" ? undefined : list;
}

/** Halves of characters, which cannot be encoded, are replaced. */
function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\u{fffd}")).replace(/[!'()*]/g, escapeMark);
}

function escapeMark(mark: string): string {
  return `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
}
