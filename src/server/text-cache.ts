const SLOTS = 1_024;
const MAX_BYTES = 64;

/**
 * Texts that come again and again, such as the names of attributes, made of their bytes once. A fixed number of short ones:
 * a new one takes the place of whichever had its slot. The same string each time is also quicker to look up by.
 */
export class TextCache {
  readonly #texts: string[] = new Array<string>(SLOTS).fill("");

  /** The text that these bytes are; undefined where they are not ASCII, or more than are kept. */
  read(bytes: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length > MAX_BYTES) return undefined;
    let hash = length;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0x80;
      if (byte >= 0x80) return undefined;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
    const kept = this.#texts[slot] ?? "";
    if (kept.length === length && isText(kept, bytes, start)) return kept;
    const text = asciiText(bytes, start, end);
    this.#texts[slot] = text;
    return text;
  }
}

function isText(text: string, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}

/** The text of bytes that are few and ASCII: quicker than a decoder is at its first byte. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string {
  const codes = new Array<number>(end - start);
  for (let at = start; at < end; at++) codes[at - start] = bytes[at] ?? 0;
  return String.fromCharCode.apply(String, codes);
}
