const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/**
 * MurmurHash3_x86_32 of a text's UTF-8 bytes, as an unsigned 32-bit integer, without encoding the text first. A lone
 * surrogate counts as U+FFFD, as everywhere where UTF-8 is made from a JavaScript string.
 *
 * Source: Austin Appleby, MurmurHash3.cpp (public domain), https://github.com/aappleby/smhasher.
 */
export function murmur3(text: string, seed = 0): number {
  const length = text.length;
  let hash = seed | 0;
  let index = 0;
  // Four ASCII characters are one block of the hash; almost every key consists of nothing else.
  for (; index + 4 <= length; index += 4) {
    const a = text.charCodeAt(index);
    const b = text.charCodeAt(index + 1);
    const c = text.charCodeAt(index + 2);
    const d = text.charCodeAt(index + 3);
    if ((a | b | c | d) > 0x7f) break;
    hash = mixBlock(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  return finish(text, index, hash, 0, index) >>> 0;
}

function mixBlock(hash: number, block: number): number {
  let k = Math.imul(block, C1);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, C2);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** A hash in the making: a text was taken in, and another one follows. */
export interface MurmurState {
  readonly hash: number;
  /** The bytes that are not in `hash` yet, the first one lowest. */
  readonly block: number;
  /** How many bytes were taken in. */
  readonly bytes: number;
  /** Half a surrogate pair at the end of the text, which may go on in the one that follows; else empty. */
  readonly pending: string;
}

/** What `finishMurmur3` takes off a hash. */
export const HALF = 2 ** 31;

/** Begins a hash with seed 0. */
export function startMurmur3(text: string): MurmurState {
  const pending = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
  return { ...absorb(text.slice(0, text.length - pending.length)), pending };
}

/**
 * The hash of the text that the state began with and this one, less 2^31: a signed 32-bit integer, which V8 passes on without
 * allocating memory. The two texts are never joined.
 */
export function finishMurmur3(state: MurmurState, text: string): number {
  if (state.pending !== "") return centre(finish(state.pending + text, 0, state.hash, state.block, state.bytes));
  const { bytes } = state;
  const { length } = text;
  // So many characters fill the block that the state began; the others are taken four at a time. Whether all were ASCII is asked
  // once, at the end: a way out of the loop costs more than the characters.
  let index = (4 - bytes) & 3;
  if (length < index) return centre(finish(text, 0, state.hash, state.block, bytes));
  let { hash, block } = state;
  let seen = 0;
  if (index > 0) {
    const last = text.charCodeAt(index - 1);
    const second = index > 1 ? text.charCodeAt(index - 2) : 0;
    const first = index > 2 ? text.charCodeAt(0) : 0;
    seen = first | second | last;
    hash = mixBlock(hash, block | (first << 8) | (second << 16) | (last << 24));
  }
  for (; index + 4 <= length; index += 4) {
    const a = text.charCodeAt(index);
    const b = text.charCodeAt(index + 1);
    const c = text.charCodeAt(index + 2);
    const d = text.charCodeAt(index + 3);
    seen |= a | b | c | d;
    hash = mixBlock(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  block = 0;
  for (let shift = 0; index < length; index++, shift += 8) {
    const code = text.charCodeAt(index);
    seen |= code;
    block |= code << shift;
  }
  if (seen > 0x7f) return centre(finish(text, 0, state.hash, state.block, bytes));
  return centre(avalanche(mixTail(hash, block) ^ (bytes + length)));
}

const ZERO = 0x30;
const HYPHEN = 0x2d;
/** Seven digits and a sign fill 32 bits with four bits for each. */
const SEVEN_DIGITS = 1e7;
const SIGN = 0xf;

/**
 * The same for a safe integer in its JSON form, whose digits never become a text. They come out of a division last one first,
 * so seven at a time are put on a stack of four bits each, which is one integer.
 */
export function finishMurmur3Integer(state: MurmurState, integer: number): number {
  if (state.pending !== "") return finishMurmur3(state, String(integer));
  let { hash, block, bytes } = state;
  let rest = Math.abs(integer);
  const groups = rest < SEVEN_DIGITS ? 1 : rest < SEVEN_DIGITS ** 2 ? 2 : 3;
  for (let left = groups; left > 0; left--) {
    let group = rest | 0;
    if (left > 1) {
      const scale = left === 2 ? SEVEN_DIGITS : SEVEN_DIGITS ** 2;
      group = Math.floor(rest / scale) | 0;
      rest -= group * scale;
    }
    let stack = 0;
    let size = 0;
    do {
      const tenth = (group / 10) | 0;
      stack = (stack << 4) | (group - tenth * 10);
      group = tenth;
      size++;
    } while (group > 0 || (left < groups && size < 7));
    if (left === groups && integer < 0) {
      stack = (stack << 4) | SIGN;
      size++;
    }
    for (; size > 0; size--) {
      const top = stack & 0xf;
      stack >>= 4;
      block |= (top === SIGN ? HYPHEN : ZERO + top) << ((bytes & 3) << 3);
      bytes++;
      if ((bytes & 3) === 0) {
        hash = mixBlock(hash, block);
        block = 0;
      }
    }
  }
  return centre(avalanche(mixTail(hash, block) ^ bytes));
}

/** The hash less 2^31: the same bits but the highest. */
function centre(hash: number): number {
  return hash ^ 0x80000000;
}

/** Takes in a text that does not end in half a surrogate pair. */
function absorb(text: string): Omit<MurmurState, "pending"> {
  const utf8 = new TextEncoder().encode(text);
  let hash = 0;
  let block = 0;
  let bytes = 0;
  for (const byte of utf8) {
    block |= byte << ((bytes & 3) << 3);
    bytes++;
    if ((bytes & 3) === 0) {
      hash = mixBlock(hash, block);
      block = 0;
    }
  }
  return { hash, block, bytes };
}

/** The rest of the text from `from`, byte by byte, after `bytes` bytes of which the last ones are in `block`. */
function finish(text: string, from: number, hash: number, tail: number, byteCount: number): number {
  let h = hash;
  let block = tail;
  let bytes = byteCount;
  for (let index = from; index < text.length; index++) {
    let code = text.charCodeAt(index);
    if (code >= 0xd800 && code <= 0xdfff) {
      const next = index + 1 < text.length ? text.charCodeAt(index + 1) : 0;
      if (code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        index++;
      } else {
        code = 0xfffd;
      }
    }
    const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (let n = 0; n < size; n++) {
      block |= utf8Byte(code, n, size) << ((bytes & 3) << 3);
      bytes++;
      if ((bytes & 3) === 0) {
        h = mixBlock(h, block);
        block = 0;
      }
    }
  }
  return avalanche(mixTail(h, block) ^ bytes);
}

/** Mixes in the one to three bytes after the last whole block. A tail of zeros, or none, changes nothing. */
function mixTail(hash: number, block: number): number {
  let k = Math.imul(block, C1);
  k = (k << 15) | (k >>> 17);
  return hash ^ Math.imul(k, C2);
}

function utf8Byte(code: number, index: number, size: number): number {
  if (size === 1) return code;
  if (index === 0) return ((0xf00 >> size) & 0xff) | (code >> (6 * (size - 1)));
  return 0x80 | ((code >> (6 * (size - 1 - index))) & 0x3f);
}

/** As a signed integer. */
function avalanche(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
