const OFFSET_BASIS = 0x6c62272e07bb014262b821756295c58dn;
const PRIME = 0x1000000000000000000013bn;

/**
 * A text in 32 hexadecimal digits: FNV-1a of 128 bits, so that no two contexts that a browser ever sees share one. It keeps
 * nobody from guessing a text; the runtime's own digests do not exist on pages without TLS, and would have to be waited for.
 *
 * Source: http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function fingerprint(text: string): string {
  let hash = OFFSET_BASIS;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(128, (hash ^ BigInt(byte)) * PRIME);
  return hash.toString(16).padStart(32, "0");
}
