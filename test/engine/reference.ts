import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";

/**
 * MurmurHash3_x86_32 over bytes, in 64-bit integers, straight from the published algorithm and unlike the engine's, which
 * works on the characters of a string.
 */
export function referenceMurmur3(bytes: Uint8Array, seed: bigint): bigint {
  const u32 = (number: bigint) => BigInt.asUintN(32, number);
  const rotl = (number: bigint, by: bigint) => u32((number << by) | (number >> (32n - by)));
  const scramble = (block: bigint) => u32(rotl(u32(block * 0xcc9e2d51n), 15n) * 0x1b873593n);
  let hash = seed;
  const whole = bytes.length - (bytes.length % 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset < whole; offset += 4) {
    hash = u32(rotl(hash ^ scramble(BigInt(view.getUint32(offset, true))), 13n) * 5n + 0xe6546b64n);
  }
  let tail = 0n;
  for (let offset = bytes.length - 1; offset >= whole; offset--) tail = (tail << 8n) | BigInt(view.getUint8(offset));
  hash ^= scramble(tail) ^ BigInt(bytes.length);
  hash = u32((hash ^ (hash >> 16n)) * 0x85ebca6bn);
  hash = u32((hash ^ (hash >> 13n)) * 0xc2b2ae35n);
  return hash ^ (hash >> 16n);
}

/** A text's hash, of its UTF-8 bytes. */
export function referenceHash(text: string, seed = 0n): bigint {
  return referenceMurmur3(new TextEncoder().encode(text), seed);
}

/** The digest of a snapshot of these items, as described at UpdateCommit.digest. Items are flags and segments. */
export function digestOf(items: readonly WatchItem[]): string {
  let first = 0n;
  let second = 0n;
  for (const { kind } of items) {
    let parts: readonly (string | bigint)[];
    if (kind.case === "flag") {
      const { flag, targeting } = kind.value;
      parts = ["flag", flag?.key ?? targeting?.flagKey ?? "", flag?.revision ?? 0n, targeting?.revision ?? 0n];
    } else if (kind.case === "segment") {
      const { key, revision, included, excluded, includedCount, excludedCount } = kind.value;
      parts = [
        "segment",
        key,
        revision,
        includedCount || excludedCount ? BigInt(included.length + excluded.length) : 0n,
      ];
    } else throw new Error("only flags and segments have a digest");
    first += referenceHash(parts.join("\n"), 0n);
    second += referenceHash(parts.join("\n"), 1n);
  }
  return [first, second].map((half) => BigInt.asUintN(32, half).toString(16).padStart(8, "0")).join("");
}
