import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { murmur3 } from "../../src/engine/index.js";
import { anyText, runs, SEED } from "./arbitrary-words.js";
import { holds } from "./holds.js";
import { referenceHash } from "./reference.js";

describe(`texts (seed ${SEED})`, () => {
  test("contain, start and end with whatever they are made of, whatever the case where it does not count", () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (before, middle, after) => {
        const text = before + middle + after;
        expect(holds(text, Operator.CONTAINS, [middle])).toBe(true);
        expect(holds(text, Operator.STARTS_WITH, [before])).toBe(true);
        expect(holds(text, Operator.ENDS_WITH, [after])).toBe(true);
        expect(holds(text, Operator.IN, [text])).toBe(true);
        expect(holds(text.toLowerCase(), Operator.IN, [text], true)).toBe(true);
        expect(holds(text, Operator.CONTAINS, [`${text}x`, "$now"])).toBe(false);
      }),
      runs(300),
    );
  });

  test("never make a pattern throw", () => {
    fc.assert(
      fc.property(
        anyText,
        fc.constantFrom("^.*$", "\\b", "(a|b)*c", "[^\\x00-\\x7f]", "\\p{Greek}+$"),
        (text, pattern) => {
          expect(typeof holds(text, Operator.MATCHES, [pattern])).toBe("boolean");
        },
      ),
      runs(300),
    );
  });

  test("hash as the published algorithm hashes their UTF-8", () => {
    const long = fc.string({ unit: fc.oneof(fc.nat(0x7f), fc.nat(0xffff)).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(fc.oneof(anyText, long, fc.string()), fc.constantFrom(0, 1, 2 ** 31), (text, seed) => {
        expect(BigInt(murmur3(text, seed))).toBe(referenceHash(text, BigInt(seed)));
      }),
      runs(2_000),
    );
  });
});
