import { hash } from "node:crypto";

/** A strong tag of a body: another body has another one. */
export function toEntityTag(body: Buffer): string {
  return `"${hash("sha256", body, "hex")}"`;
}

/** What a proxy that compresses answers adds to their tags, as Apache does: `"…-gzip"`. */
const ENCODING_SUFFIX = /-(?:gzip|br|deflate|zstd)(?="?$)/;

/**
 * Whether the header `If-None-Match` has a tag: `*` has every one, and a weak tag counts as its strong one (RFC 9110, section
 * 13.1.2). A tag without quotes counts too, because OFREP's own example is one, and so does that of a compressed answer.
 */
export function hasEntityTag(header: string, tag: string): boolean {
  if (header.trim() === "*") return true;
  for (const [written] of header.matchAll(/"[^"]*"|[^\s,"]+/g)) {
    const listed = written.replace(ENCODING_SUFFIX, "");
    if (listed === tag || `"${listed}"` === tag) return true;
  }
  return false;
}
