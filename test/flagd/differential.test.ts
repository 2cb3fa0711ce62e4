import { FlagdCore } from "@openfeature/flagd-core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { importFile, toSnapshot } from "./evaluate.js";
import { context, EVALUATORS, NOW_MS, targeting, VARIANTS } from "./generate.js";

const SILENT = { error() {}, warn() {}, info() {}, debug() {} };

beforeAll(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ["Date"] });
});
afterAll(() => {
  vi.useRealTimers();
});

test("a generated flag gives the variant and value here that it gives in flagd", () => {
  let compared = 0;
  const variants = Object.fromEntries(VARIANTS.map((name) => [name, name.toUpperCase()]));
  const flags = fc.tuple(
    targeting,
    fc.option(fc.constantFrom(...VARIANTS)),
    fc.array(context, { minLength: 8, maxLength: 8 }),
  );
  const property = fc.property(flags, ([rules, defaultVariant, contexts]) => {
    const flag = { state: "ENABLED", variants, defaultVariant, targeting: rules };
    const file = JSON.stringify({ $evaluators: EVALUATORS, flags: { f: flag } });
    const flagd = new FlagdCore(undefined, SILENT);
    flagd.setConfigurations(file);
    const imported = importFile(file);
    // Deeply nested branches can need more conditions than a flag may have.
    fc.pre(imported.refused.every(({ description }) => description.startsWith("needs a condition of")));
    fc.pre(imported.refused.length === 0);
    const compiled = toSnapshot(imported.file).flag("f");
    for (const subject of contexts) {
      const theirs = flagd.resolveStringEvaluation("f", "CALLER", subject as never, SILENT);
      // Where JavaScript fails to make a number of text, the Go daemon compares with NaN and goes on.
      if (theirs.errorCode !== undefined) continue;
      const ours = compiled?.select(subject, NOW_MS);
      compared++;
      expect({ variant: ours?.variant, value: ours?.value ?? "CALLER", context: subject }).toEqual({
        variant: theirs.variant,
        value: theirs.value,
        context: subject,
      });
    }
  });
  fc.assert(property, { numRuns: 1_000 });
  expect(compared).toBeGreaterThan(4_000);
});
