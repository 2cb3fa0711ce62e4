import { fromRevisionKey, toIdempotencyKey, toRevisionKey, toUnchangedKey } from "./keys.js";
import type { IdempotentWrite } from "./store.js";
import { encodeIdempotentWrite, META, putMeta, type StoreData } from "./store-data.js";
import type { Tables } from "./tables.js";

/** An idempotency key in its stored form: all that may throw has been done. */
export interface EncodedKey {
  readonly digest: Uint8Array;
  readonly write: Uint8Array;
}

/** The key of a write that changed nothing. */
export interface EncodedUnchanged extends EncodedKey {
  /** Where it stands among such. */
  readonly number: bigint;
  readonly revision: bigint;
  /** Size of all that will be put, in bytes. */
  readonly sizeBytes: number;
}

/** Trimming more at once would make a commit slow after a bound was lowered: that takes effect over several commits. */
export const MAX_TRIMMED_PER_COMMIT = 1_000;

const DIGEST_BYTES = 32;
/** Its place in the order of keys, and the two numbers in the meta table. */
const ORDER_BYTES = 128;

export function encodeKey(write: IdempotentWrite): EncodedKey {
  return {
    digest: toIdempotencyKey(write.key),
    write: encodeIdempotentWrite({ write, unchanged: undefined }),
  };
}

/** Within the transaction that puts it: its number is the next one. */
export function encodeUnchanged(data: StoreData, write: IdempotentWrite): EncodedUnchanged {
  const number = data.unchanged.newest + 1n;
  const bytes = encodeIdempotentWrite({ write, unchanged: number });
  const sizeBytes = bytes.length + DIGEST_BYTES + ORDER_BYTES;
  return { digest: toIdempotencyKey(write.key), write: bytes, number, revision: write.revision, sizeBytes };
}

/** Puts the key of the transaction that makes `revision`, within that. */
export function putKey({ idempotency, idempotencyOrder }: Tables, revision: bigint, key: EncodedKey): void {
  idempotency.put(key.digest, key.write);
  idempotencyOrder.put(toRevisionKey(revision), key.digest);
}

/** Puts the key of a write that changed nothing, within a transaction of its own, and drops those beyond `maxEntries`. */
export function putUnchanged(data: StoreData, key: EncodedUnchanged, maxEntries: number): void {
  const { tables, unchanged } = data;
  const { number, revision } = key;
  tables.idempotency.put(key.digest, key.write);
  tables.idempotencyOrder.put(toUnchangedKey(number), toUnchangedPlace(key.digest, revision));
  const oldest = forgetUnchanged(tables, { oldest: unchanged.oldest, newest: number, revision, maxEntries });
  putMeta(tables, META.oldestUnchanged, oldest);
  putMeta(tables, META.newestUnchanged, number);
}

/** What stands in the order of keys for a write that changed nothing. */
export function toUnchangedPlace(digest: Uint8Array, revision: bigint): Uint8Array {
  return Buffer.concat([digest, toRevisionKey(revision)]);
}

/** Drops the keys of what is too old with the revision `newest`, within the transaction that makes it. */
export function forgetKeys(data: StoreData, newest: bigint, maxEntries: number): void {
  const { tables, unchanged, oldestIdempotent } = data;
  putMeta(tables, META.oldestIdempotent, forgetCommitted(tables, oldestIdempotent, newest, maxEntries));
  const oldest = forgetUnchanged(tables, { ...unchanged, revision: newest, maxEntries });
  if (oldest !== unchanged.oldest) putMeta(tables, META.oldestUnchanged, oldest);
}

/** Of transactions before the newest `maxEntries`. Gives the oldest revision whose key may be kept. */
function forgetCommitted(tables: Tables, kept: bigint, newest: bigint, maxEntries: number): bigint {
  let oldest = kept;
  for (let count = 0; oldest < newest && count < MAX_TRIMMED_PER_COMMIT; count++, oldest++) {
    if (newest - oldest < BigInt(maxEntries)) break;
    const key = toRevisionKey(oldest);
    const digest = tables.idempotencyOrder.get(key);
    if (!digest) continue;
    tables.idempotency.remove(digest);
    tables.idempotencyOrder.remove(key);
  }
  return oldest;
}

/** The numbers of writes that changed nothing, and what they are measured by. */
interface UnchangedBounds {
  readonly oldest: bigint;
  readonly newest: bigint;
  /** The head. */
  readonly revision: bigint;
  readonly maxEntries: number;
}

/**
 * Of writes that changed nothing: those before the newest `maxEntries` of them, and those that were answered before as many
 * revisions. The newest stays as long as its revision is the head's. Gives the oldest number that is kept.
 */
function forgetUnchanged(tables: Tables, { newest, revision, maxEntries, ...kept }: UnchangedBounds): bigint {
  const most = BigInt(Math.max(maxEntries, 1));
  let { oldest } = kept;
  for (let count = 0; oldest <= newest && count < MAX_TRIMMED_PER_COMMIT; count++, oldest++) {
    const key = toUnchangedKey(oldest);
    const place = tables.idempotencyOrder.get(key);
    if (!place) continue;
    const answered = fromRevisionKey(place.subarray(DIGEST_BYTES)) ?? 0n;
    if (newest - oldest < most && revision - answered < most) break;
    tables.idempotency.remove(place.subarray(0, DIGEST_BYTES));
    tables.idempotencyOrder.remove(key);
  }
  return oldest;
}
