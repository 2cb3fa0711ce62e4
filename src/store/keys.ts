import { createHash } from "node:crypto";

/** Longest record id in UTF-8, in bytes: within what LMDB takes as a key with its default page size. */
export const MAX_RECORD_ID_BYTES = 1_024;

/** Text as a key. */
export function toTextKey(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

export function fromTextKey(key: Uint8Array): string {
  return Buffer.from(key).toString("utf8");
}

/** A revision as a key of 8 bytes, big-endian, so that keys sort like revisions. LMDB's own number keys end at 2^53. */
export function toRevisionKey(revision: bigint): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(revision);
  return key;
}

/**
 * The place of a write that changed nothing, in the order of idempotency keys: after those of all revisions, which it has
 * none of.
 */
export function toUnchangedKey(sequence: bigint): Uint8Array {
  const key = Buffer.alloc(16, 0xff);
  key.writeBigUInt64BE(sequence, 8);
  return key;
}

/** Undefined if `key` is not a revision's. */
export function fromRevisionKey(key: Uint8Array): bigint | undefined {
  if (key.length !== 8) return undefined;
  return Buffer.from(key).readBigUInt64BE();
}

/** An idempotency key as a key: a digest, because callers choose keys of any length and content. */
export function toIdempotencyKey(key: string): Uint8Array {
  return createHash("sha256").update(key, "utf8").digest();
}
