import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText, runs, SEED } from "./arbitrary-words.js";
import { all, ask, flag, not, rule, serveRollout, share, snapshotOf } from "./build.js";
import { referenceHash } from "./reference.js";

const MAX_TOTAL = 2 ** 31 - 1;
/** Texts whose hash without salt is 0, 1, 2^31 - 1, 2^31 and 2^32 - 1. */
const EDGES = ["ejOoVL", "bY9fO-", "SI7p-", "6LvT0", "ceQdGm"];
const hashed = fc.oneof(fc.constantFrom(...EDGES), anyText.filter(Boolean), fc.uuid());
const total = fc.oneof(
  fc.constantFrom(1, 2, 3, 100, 100_000, 2 ** 30, MAX_TOTAL),
  fc.integer({ min: 1, max: MAX_TOTAL }),
);
const NAMES: readonly string[] = ["a", "b", "c", "off"];

function bucketOf(text: string, totalWeight: number): number {
  return Number((referenceHash(text) * BigInt(totalWeight)) >> 32n);
}

/** Which of the shares, by index, a caller gets; weights in the order of NAMES. */
function shareOf(weights: readonly number[], targetingKey: string, salt = ""): number {
  const shares = weights.map((weight, index) => ({ variant: NAMES[index] ?? "", weight }));
  const outcome = ask(snapshotOf(flag("x", { default: serveRollout({ shares, salt }) })), "x", { targetingKey });
  expect(outcome.reason).toBe("SPLIT");
  return NAMES.indexOf(outcome.variant ?? "");
}

/** Whether a caller is within a share of the traffic. */
function isWithin(start: number, weight: number, totalWeight: number, targetingKey: string): boolean {
  const condition = share({ start, weight, totalWeight, salt: "" });
  return ask(snapshotOf(flag("x", { rules: [rule(condition)] })), "x", { targetingKey }).variant === "b";
}

/** Weights that sum to a total, cut anywhere. */
const weights = total.chain((sum) =>
  fc.array(fc.integer({ min: 0, max: sum }), { minLength: 0, maxLength: 3 }).map((cuts) => {
    const limits = [0, ...cuts.toSorted((a, b) => a - b), sum];
    return limits.slice(1).map((limit, index) => limit - (limits[index] ?? 0));
  }),
);

describe(`a rollout (seed ${SEED})`, () => {
  test("chooses the share that (hash * total) >> 32 falls into", () => {
    fc.assert(
      fc.property(weights, hashed, fc.constantFrom("", "x", "salt-"), (shares, key, salt) => {
        const bucket = bucketOf(
          salt + key,
          shares.reduce((sum, weight) => sum + weight, 0),
        );
        let index = 0;
        for (let cumulative = shares[0] ?? 0; cumulative <= bucket; cumulative += shares[++index] ?? 1);
        expect(shareOf(shares, key, salt)).toBe(index);
      }),
      runs(2_000),
    );
  });

  test("is exact where a share ends right before or behind the bucket", () => {
    fc.assert(
      fc.property(total, hashed, (sum, key) => {
        const bucket = bucketOf(key, sum);
        expect(shareOf([bucket, sum - bucket], key)).toBe(1);
        expect(shareOf([bucket + 1, sum - bucket - 1], key)).toBe(0);
      }),
      runs(2_000),
    );
  });

  test("never moves a caller whose share grows at the expense of later ones", () => {
    const grown = weights.chain((before) =>
      fc.tuple(fc.nat(before.length - 1), fc.nat(1_000)).map(([index, thousandths]) => {
        const after = before.map((weight, at) =>
          at > index ? weight - Math.floor((weight * thousandths) / 1_000) : weight,
        );
        const taken = before.reduce((sum, weight, at) => sum + weight - (after[at] ?? 0), 0);
        return { before, after: after.map((weight, at) => (at === index ? weight + taken : weight)), index };
      }),
    );
    fc.assert(
      fc.property(grown, fc.array(hashed, { minLength: 3, maxLength: 6 }), ({ before, after, index }, keys) => {
        for (const key of keys) {
          const had = shareOf(before, key);
          if (had <= index) expect(shareOf(after, key)).toBe(had);
          else expect(shareOf(after, key)).toSatisfy((now: number) => index <= now && now <= had);
        }
      }),
      runs(500),
    );
  });

  test("gives an integer and a boolean the bucket of their JSON form", () => {
    const shares = NAMES.map((variant) => ({ variant, weight: 1 }));
    const snapshot = snapshotOf(flag("x", { default: serveRollout({ shares, bucketBy: "id" }) }));
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.boolean(), fc.constant(-0)), (id) => {
        expect(ask(snapshot, "x", { id })).toBe(ask(snapshot, "x", { id: JSON.stringify(id) }));
      }),
      runs(300),
    );
  });

  test("gives nothing else a bucket", () => {
    const shares = [{ variant: "a", weight: 1 }];
    const condition = share({ weight: 100_000, bucketBy: "id" });
    const snapshot = snapshotOf(
      flag("x", { default: serveRollout({ shares, bucketBy: "id" }) }),
      flag("y", { rules: [rule(condition)] }),
      flag("z", { rules: [rule(not(condition))] }),
    );
    for (const id of [undefined, null, 1.5, 2 ** 53, Number.NaN, [], ["u1"], {}, 1n, Symbol("u1"), () => "u1"]) {
      expect(ask(snapshot, "x", { id })).toMatchObject({ errorCode: "TARGETING_KEY_MISSING", variant: undefined });
      expect(ask(snapshot, "y", { id }).variant).toBe("a");
      expect(ask(snapshot, "z", { id }).variant).toBe("b");
    }
  });

  test("gives each share its weight of many callers, within six standard deviations", () => {
    const callers = 20_000;
    fc.assert(
      fc.property(weights, fc.uuid(), fc.constantFrom("", "targetingKey", "account"), (parts, key, bucketBy) => {
        const shares = parts.map((weight, index) => ({ variant: NAMES[index] ?? "", weight }));
        const snapshot = snapshotOf(flag(key, { default: serveRollout({ shares, bucketBy }) }));
        const attribute = bucketBy || "targetingKey";
        const counts = new Map<string | undefined, number>();
        for (let caller = 0; caller < callers; caller++) {
          const { variant } = ask(snapshot, key, { [attribute]: `${SEED}-${caller}` });
          counts.set(variant, (counts.get(variant) ?? 0) + 1);
        }
        const sum = parts.reduce((total, weight) => total + weight, 0);
        for (const [index, weight] of parts.entries()) {
          const part = weight / sum;
          const deviation = Math.sqrt(callers * part * (1 - part));
          // The smallest shares are not distributed normally, and may have a few callers more.
          const bound = 6 * deviation + 18;
          expect(Math.abs((counts.get(NAMES[index]) ?? 0) - callers * part)).toBeLessThan(bound);
        }
      }),
      runs(8),
    );
  });

  test("is independent of another flag's, unless they share a salt", () => {
    const shares = [
      { variant: "a", weight: 1 },
      { variant: "b", weight: 1 },
    ];
    const snapshot = snapshotOf(
      flag("one", { default: serveRollout({ shares }) }),
      flag("two", { default: serveRollout({ shares }) }),
      flag("salted", { default: serveRollout({ shares, salt: "one" }) }),
    );
    const callers = Array.from({ length: 10_000 }, (_, index) => ({ targetingKey: `user-${index}` }));
    const alike = (one: string, other: string) =>
      callers.filter((caller) => ask(snapshot, one, caller).variant === ask(snapshot, other, caller).variant).length;
    expect(Math.abs(alike("one", "two") - 5_000)).toBeLessThan(6 * Math.sqrt(10_000 / 4));
    expect(alike("one", "salted")).toBe(10_000);
  });
});

describe(`a share of the traffic (seed ${SEED})`, () => {
  const cut = total.chain((sum) =>
    fc.tuple(fc.integer({ min: 0, max: sum }), fc.integer({ min: 0, max: sum })).map(([one, other]) => ({
      sum,
      start: Math.min(one, other),
      weight: Math.abs(one - other),
    })),
  );

  test("holds exactly where start <= bucket < start + weight", () => {
    fc.assert(
      fc.property(cut, hashed, ({ sum, start, weight }, key) => {
        const bucket = bucketOf(key, sum);
        expect(isWithin(start, weight, sum, key)).toBe(start <= bucket && bucket < start + weight);
        expect(isWithin(bucket, 1, sum, key)).toBe(true);
        expect(isWithin(0, bucket, sum, key)).toBe(false);
        expect(isWithin(bucket + 1, sum - bucket - 1, sum, key)).toBe(false);
      }),
      runs(1_000),
    );
  });

  test("never loses a caller when it grows, at its end or at both, and gains none when it shrinks", () => {
    const grown = cut.chain(({ sum, start, weight }) =>
      fc
        .tuple(fc.integer({ min: 0, max: sum - start - weight }), fc.integer({ min: 0, max: start }))
        .map(([end, begin]) => ({
          sum,
          before: { start, weight },
          after: { start: start - begin, weight: weight + begin + end },
        })),
    );
    const nested = (inner: ReturnType<typeof share>) => [inner, all(inner), not(not(inner))];
    fc.assert(
      fc.property(grown, fc.nat(2), fc.array(hashed, { minLength: 3, maxLength: 6 }), (growth, shape, keys) => {
        const { sum, before, after } = growth;
        const [small, large] = [before, after].map((part) => {
          const condition = nested(share({ ...part, totalWeight: sum, salt: "" }))[shape] ?? all();
          return snapshotOf(flag("x", { rules: [rule(condition)] }));
        });
        for (const targetingKey of keys) {
          const had = small && ask(small, "x", { targetingKey }).variant === "b";
          if (had) expect(large && ask(large, "x", { targetingKey }).variant).toBe("b");
          const bucket = bucketOf(targetingKey, sum);
          expect(had).toBe(before.start <= bucket && bucket < before.start + before.weight);
        }
      }),
      runs(500),
    );
  });

  test("never holds together with one that begins where it ends, and one of them always holds", () => {
    fc.assert(
      fc.property(total, fc.nat(), hashed, (sum, random, key) => {
        const end = random % (sum + 1);
        expect(isWithin(0, end, sum, key)).toBe(!isWithin(end, sum - end, sum, key));
      }),
      runs(500),
    );
  });

  test("in a rule and as the first share of a serve are the same callers", () => {
    const shares = [
      { variant: "b", weight: 25_000 },
      { variant: "a", weight: 75_000 },
    ];
    const snapshot = snapshotOf(
      flag("x", { rules: [rule(all(share({ weight: 25_000, salt: "s" })))] }),
      flag("y", { default: serveRollout({ shares, salt: "s" }) }),
    );
    fc.assert(
      fc.property(hashed, (targetingKey) => {
        expect(ask(snapshot, "x", { targetingKey }).variant).toBe(ask(snapshot, "y", { targetingKey }).variant);
      }),
      runs(500),
    );
  });
});
