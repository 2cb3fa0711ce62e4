import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { murmur3 } from "../../src/engine/index.js";
import { runs, SEED } from "./arbitrary-words.js";
import { ask, flag, rule, share, snapshotOf } from "./build.js";
import { referenceHash } from "./reference.js";

// Computed with independent implementations: the ASCII ones stand in flagd's test bed, the others are over UTF-8.
const vectors: readonly [text: string, hash: number][] = [
  ["", 0],
  ["hello", 613153351],
  ["fractional-flagjack", 2682799072],
  ["fractional-flagqueen", 4278517551],
  ["headerColorjoey@faas.com", 309582631],
  ["foo@foo.com", 4156476097],
  ["ejOoVL", 0],
  ["bY9fO-", 1],
  ["SI7p-", 2147483647],
  ["6LvT0", 2147483648],
  ["ceQdGm", 4294967295],
  ["user-1", 4171401059],
  ["Zoë", 2255564058],
  ["é", 269551495],
  ["éé", 1182274021],
  ["jürgen@x.de", 989615029],
  ["日本語", 2779017879],
  ["😀", 3199479546],
  ["naïve-42", 3792313347],
  ["Ω", 1328693105],
  ["ÿ", 2978568462],
  ["Łódź", 791561411],
];

describe("murmur3 hashes the UTF-8 bytes of a text", () => {
  test.each(vectors)("%j", (text, hash) => {
    expect(murmur3(text)).toBe(hash);
  });

  test("a lone surrogate counts as U+FFFD", () => {
    expect(murmur3("a\ud800b")).toBe(murmur3("a\ufffdb"));
    expect(murmur3("a\udc00")).toBe(murmur3("a\ufffd"));
  });

  test("the seed changes the hash", () => {
    expect(murmur3("hello", 1)).not.toBe(murmur3("hello", 0));
    expect(murmur3("", 1)).toBe(0x514e28b7);
  });
});

/** The bucket of a salt and a value, as a rollout finds it, is the one of this hash. */
function hashesAs(value: unknown, salt: string, hash: bigint): boolean {
  const totalWeight = 2 ** 31 - 1;
  const start = Number((hash * BigInt(totalWeight)) >> 32n);
  const snapshot = snapshotOf(
    flag("f", { rules: [rule(share({ bucketBy: "id", salt, start, weight: 1, totalWeight }))] }),
  );
  return ask(snapshot, "f", { id: value }).variant === "b";
}

describe(`a rollout hashes an integer as its digits (seed ${SEED})`, () => {
  const salt = fc.constantFrom("", "s", "sa", "sal", "salt", "größe 日本😀", "half\ud83d");

  test("at every power of ten, on both sides of zero", () => {
    for (let power = 1; power < Number.MAX_SAFE_INTEGER; power *= 10) {
      for (const magnitude of [power - 1, power, power + 1, power * 5 + 7, Number.MAX_SAFE_INTEGER - power + 1]) {
        for (const integer of [magnitude, -magnitude].filter((each) => Number.isSafeInteger(each))) {
          expect([integer, hashesAs(integer, "salt", referenceHash(`salt${integer}`))]).toEqual([integer, true]);
        }
      }
    }
  });

  test("whichever it is, after any salt", () => {
    const integer = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.integer({ min: -1e10, max: 1e10 }));
    fc.assert(
      fc.property(integer, salt, (id, before) => hashesAs(id, before, referenceHash(before + String(id)))),
      runs(2_000),
    );
  });

  test("and a boolean as its JSON form", () => {
    for (const id of [true, false]) expect(hashesAs(id, "salt", referenceHash(`salt${id}`))).toBe(true);
  });
});
