import fc from "fast-check";
import { expect, test } from "vitest";
import { PrivateAttributes, usedAttributes } from "../../src/engine/index.js";
import { anyItems, soundItems, wildItems } from "./arbitraries.js";
import { someContext } from "./arbitrary-contexts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { flag, inSegment, rule, segment, serveRollout, share, snapshotOf } from "./build.js";

const NOW = Date.UTC(2026, 5, 1);

test(`a flag answers the same without the attributes that it does not use (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.oneof(soundItems, wildItems, anyItems),
      fc.array(someContext, { minLength: 3 }),
      (items, contexts) => {
        for (const compiled of snapshotOf(...items).flags()) {
          const used = new PrivateAttributes([...usedAttributes(compiled)]);
          for (const context of contexts) {
            const entries = Object.entries(context).filter(([name]) => used.has(name));
            expect(compiled.select(Object.fromEntries(entries), NOW)).toBe(compiled.select(context, NOW));
          }
        }
      },
    ),
    runs(200),
  );
});

test("a flag uses what its rollouts, targets, prerequisites and segments use, and nothing while it is off", () => {
  const snapshot = snapshotOf(
    segment("inner", { excluded: ["u1"] }),
    segment("outer", { condition: inSegment("inner") }),
    flag("base", { rules: [rule(share({ bucketBy: "company", weight: 1 }))] }),
    flag("rolled", {
      default: serveRollout({
        shares: [
          { variant: "a", weight: 1 },
          { variant: "b", weight: 1 },
        ],
      }),
    }),
    flag("targeted", { targets: [{ variant: "b", targetingKeys: ["u1"] }] }),
    flag("requiring", { prerequisites: [{ flagKey: "base", variants: ["a"] }] }),
    flag("segmented", { rules: [rule(inSegment("outer"))] }),
    flag("off", { enabled: false, prerequisites: [{ flagKey: "base", variants: ["a"] }] }),
  );
  const used = Object.fromEntries(snapshot.flags().map((compiled) => [compiled.key, [...usedAttributes(compiled)]]));
  expect(used).toEqual({
    base: ["company"],
    rolled: ["targetingKey"],
    targeted: ["targetingKey"],
    requiring: ["company"],
    segmented: ["targetingKey"],
    off: [],
  });
});
