/**
 * MurmurHash3_x86_32 over bytes, in arbitrary precision, from the published algorithm; and, because each of its steps can be
 * undone, texts that have a given hash.
 */

const BITS = 32n;
const C1 = 0xcc9e2d51n;
const C2 = 0x1b873593n;
const FINAL_1 = 0x85ebca6bn;
const FINAL_2 = 0xc2b2ae35n;

const u32 = (number: bigint): bigint => BigInt.asUintN(32, number);
const rotl = (number: bigint, by: bigint): bigint => u32((number << by) | (number >> (BITS - by)));
const scramble = (block: bigint): bigint => u32(rotl(u32(block * C1), 15n) * C2);
const mix = (hash: bigint, block: bigint): bigint => u32(rotl(hash ^ scramble(block), 13n) * 5n + 0xe6546b64n);

function finish(hash: bigint, length: number): bigint {
  let mixed = hash ^ BigInt(length);
  mixed = u32((mixed ^ (mixed >> 16n)) * FINAL_1);
  mixed = u32((mixed ^ (mixed >> 13n)) * FINAL_2);
  return mixed ^ (mixed >> 16n);
}

/** The state after all whole blocks of four bytes. */
function absorb(bytes: Buffer): bigint {
  let hash = 0n;
  for (let at = 0; at + 4 <= bytes.length; at += 4) hash = mix(hash, BigInt(bytes.readUInt32LE(at)));
  return hash;
}

/** The hash of a text's UTF-8 bytes, with seed 0. */
export function murmur3(text: string): number {
  const bytes = Buffer.from(text, "utf8");
  const rest = bytes.subarray(bytes.length - (bytes.length % 4));
  let tail = 0n;
  for (const byte of [...rest].reverse()) tail = (tail << 8n) | BigInt(byte);
  return Number(finish(absorb(bytes) ^ scramble(tail), bytes.length));
}

/** The bucket that a hash falls into, in 64-bit integers. */
export function bucketOf(hash: number, total: number): number {
  return Number((BigInt(hash) * BigInt(total)) >> BITS);
}

/** The number of hashes whose bucket is below `limit`; the last of them is just below it, and this one is at it. */
export function hashesBelow(limit: number, total: number): number {
  let [low, high] = [0, 2 ** 32];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (bucketOf(middle, total) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** x such that x * factor is 1, modulo 2^32. */
function inverse(factor: bigint): bigint {
  let x = 1n;
  for (let step = 0; step < 6; step++) x = u32(x * (2n - factor * x));
  return x;
}

const undoShift = (number: bigint, by: bigint): bigint => {
  let result = number;
  for (let shift = by; shift < BITS; shift += by) result = number ^ (result >> by);
  return u32(result);
};

function undoFinish(hash: bigint, length: number): bigint {
  let mixed = undoShift(hash, 16n);
  mixed = undoShift(u32(mixed * inverse(FINAL_2)), 13n);
  mixed = undoShift(u32(mixed * inverse(FINAL_1)), 16n);
  return mixed ^ BigInt(length);
}

/** The block that leads from one state to another. */
function blockBetween(before: bigint, after: bigint): bigint {
  const unmixed = u32(u32(after - 0xe6546b64n) * inverse(5n));
  const scrambled = rotl(unmixed, BITS - 13n) ^ before;
  return u32(rotl(u32(scrambled * inverse(C2)), BITS - 15n) * inverse(C1));
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const READABLE = /^[A-Za-z0-9._~+-]{4}$/;

/** The first text, in order of counting, such that `salt + text` has this hash. */
export function keyWithHash(hash: number, salt = ""): string {
  const padding = "k".repeat(3 - ((Buffer.byteLength(salt, "utf8") + 3) % 4));
  for (let counter = 0; ; counter++) {
    const beginning = padding + counted(counter);
    const before = Buffer.from(salt + beginning, "utf8");
    const block = blockBetween(absorb(before), undoFinish(BigInt(hash), before.length + 4));
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(Number(block));
    const text = bytes.toString("latin1");
    if (READABLE.test(text)) return beginning + text;
  }
}

/** Four letters for a number. */
function counted(counter: number): string {
  let text = "";
  for (let rest = counter; text.length < 4; rest = Math.floor(rest / LETTERS.length)) {
    text += LETTERS[rest % LETTERS.length];
  }
  return text;
}
