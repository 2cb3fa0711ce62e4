import { COLON, codeAt, DOT, isDigit, ZERO } from "./character-codes.js";

/**
 * An address as four 32-bit words, signed, the first one highest. An IPv4 address is the IPv4-mapped IPv6 address that it
 * equals, `::ffff:a.b.c.d`.
 */
export type Address = Int32Array;

/** Characters of the longest address, six groups and an IPv4 address in full. */
const MAX_LENGTH = 45;
const GROUPS = 8;
const NONE = -1;

/** The groups of an IPv6 address as they are written. */
const groups = new Uint16Array(GROUPS);

/** Reads an address into `address`. False, with anything in it, if the text is none. */
export function scanAddress(text: string, address: Address): boolean {
  if (text.length > MAX_LENGTH) return false;
  if (text.includes(":")) return scanIpv6(text, address);
  address[0] = 0;
  address[1] = 0;
  address[2] = 0xffff;
  return scanIpv4(text, 0, address);
}

export function isIpv4(address: Address): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === 0xffff;
}

/** Reads the rest of a text into the last word. Leading zeros are refused: some programs read them as octal. */
function scanIpv4(text: string, from: number, address: Address): boolean {
  let word = 0;
  let at = from;
  for (let index = 0; index < 4; index++) {
    if (index > 0 && codeAt(text, at++) !== DOT) return false;
    const start = at;
    let byte = 0;
    for (let code = codeAt(text, at); isDigit(code) && at < start + 3; code = codeAt(text, at)) {
      byte = byte * 10 + (code - ZERO);
      at++;
    }
    if (at === start || byte > 255 || (at > start + 1 && codeAt(text, start) === ZERO)) return false;
    word = (word << 8) | byte;
  }
  address[3] = word;
  return at === text.length;
}

/** RFC 4291, section 2.2, without zones. */
function scanIpv6(text: string, address: Address): boolean {
  let count = 0;
  /** How many groups stand before the double colon. */
  let gap = NONE;
  for (let at = 0; at < text.length; ) {
    if (codeAt(text, at) === COLON) {
      // Where a group should begin: the second colon of two or, at the beginning of the text, the first one.
      if (gap !== NONE || (at === 0 && codeAt(text, 1) !== COLON)) return false;
      gap = count;
      at = at === 0 ? 2 : at + 1;
      continue;
    }
    if (count === GROUPS) return false;
    const end = scanGroup(text, at, count);
    if (codeAt(text, end) === DOT) {
      // Only at the end of the address may the last 32 bits be written as IPv4.
      if (count > GROUPS - 2 || !scanIpv4(text, at, address)) return false;
      const word = address[3] ?? 0;
      groups[count++] = word >>> 16;
      groups[count++] = word & 0xffff;
      break;
    }
    if (end === at || end > at + 4) return false;
    count++;
    at = end;
    if (at === text.length) break;
    // A single colon stands between groups, never at the end.
    if (codeAt(text, at++) !== COLON || at === text.length) return false;
  }
  if (gap === NONE ? count !== GROUPS : count === GROUPS) return false;
  toWords(count, gap, address);
  return true;
}

/** Reads hexadecimal digits, at most one too many, into a group; returns where they end. */
function scanGroup(text: string, from: number, index: number): number {
  let group = 0;
  let at = from;
  for (let digit = hexDigit(codeAt(text, at)); digit !== NONE && at <= from + 4; digit = hexDigit(codeAt(text, at))) {
    group = (group << 4) | digit;
    at++;
  }
  groups[index] = group;
  return at;
}

function hexDigit(code: number): number {
  if (isDigit(code)) return code - ZERO;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : NONE;
}

/** Puts the groups together, with zeros in the gap if there is one. */
function toWords(count: number, gap: number, address: Address): void {
  const zeros = GROUPS - count;
  for (let word = 0; word < 4; word++) {
    address[word] = (groupAt(2 * word, gap, zeros) << 16) | groupAt(2 * word + 1, gap, zeros);
  }
}

function groupAt(index: number, gap: number, zeros: number): number {
  if (gap === NONE || index < gap) return groups[index] ?? 0;
  return index < gap + zeros ? 0 : (groups[index - zeros] ?? 0);
}
