import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { type Comparison, compareWithFlagd, isAlike } from "./compare.js";
import { DIFFERENCES } from "./differences.js";
import { context, type FlagdFile, flagdFileOf, NOW_MS, targeting, VARIANTS } from "./generate.js";
import { isUntranslatable, wideContext, wideTargeting } from "./generate-wide.js";

beforeAll(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ["Date"] });
});
afterAll(() => {
  vi.useRealTimers();
});

/** The documented differences that a case can be due to. */
function reasonsOf(comparison: Comparison): string[] {
  return DIFFERENCES.filter(({ applies }) => applies(comparison)).map(({ name }) => name);
}

/** How often something was seen, by its name. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  print(title: string): void {
    const lines = [...this.#counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `  ${count}  ${name}`);
    console.info([`${title} (seed ${SEED})`, ...lines].join("\n"));
  }
}

describe(`generated flags, here and in flagd (seed ${SEED})`, () => {
  test("give the same variant, value and metadata where flagd's implementations agree", () => {
    let compared = 0;
    const contexts = fc.array(context, { minLength: 8, maxLength: 8 });
    const property = fc.property(flagdFileOf(targeting), contexts, (file, subjects) => {
      const { imported, comparisons } = compareWithFlagd(file, subjects);
      // Deeply nested branches can need more conditions than a flag may have.
      for (const { description } of imported.refused) expect(description).toMatch(/^needs a condition of/);
      for (const comparison of comparisons) {
        // Where JavaScript fails, as when it makes a number of text, the Go daemon goes on.
        if (comparison.flagd.failed) {
          expect(reasonsOf(comparison), JSON.stringify(comparison)).not.toEqual([]);
          continue;
        }
        compared++;
        const { flagd, here, ...about } = comparison;
        expect({ here, ...about }).toEqual({ here: flagd, ...about });
      }
    });
    fc.assert(property, runs(500));
    expect(compared).toBeGreaterThan(4_000);
  });

  test("differ for other contexts only in the ways that are documented", () => {
    const tally = new Tally();
    const contexts = fc.array(wideContext, { minLength: 8, maxLength: 8 });
    const property = fc.property(flagdFileOf(wideTargeting), contexts, (file, subjects) => {
      for (const comparison of compareWithFlagd(file, subjects).comparisons) {
        if (isAlike(comparison)) {
          tally.add("alike");
          continue;
        }
        const reasons = reasonsOf(comparison);
        expect(reasons, JSON.stringify(comparison)).not.toEqual([]);
        tally.add(
          reasons.length === 1 ? `different: ${reasons[0]}` : "different for one or several of several reasons",
        );
      }
    });
    fc.assert(property, runs(500));
    tally.print("flagd, for contexts of anything");
  });

  test("are refused by key and place, or taken over, and nothing that cannot be translated is taken over", () => {
    const tally = new Tally();
    const property = fc.property(flagdFileOf(wideTargeting), (file) => {
      const { imported } = compareWithFlagd(file, []);
      const taken = new Set(imported.file.flags.map(({ key }) => key));
      const refused = new Set(imported.refused.map(({ key }) => key));
      for (const [key, flag] of Object.entries(file.flags)) {
        expect(taken.has(key)).toBe(!refused.has(key));
        if (isUntranslatable(flag.targeting)) expect(refused).toContain(key);
        tally.add(taken.has(key) ? "taken over" : "refused");
      }
      for (const { key, path, description } of imported.refused) {
        expect(path).toSatisfy((at: string) => at.startsWith(`flags.${key}.`) || at.startsWith("$evaluators."));
        tally.add(`refused: ${description.replaceAll(/"[^"]*"|\[.*\]|-?\d[\d.]*/g, "…")}`);
      }
    });
    fc.assert(property, runs(500));
    tally.print("flagd flags");
  });
});

describe("a documented difference from flagd", () => {
  const variants = Object.fromEntries(VARIANTS.map((name) => [name, name]));
  const fileOf = (rules: FlagdFile["flags"][string]["targeting"]) => {
    const flag = { state: "ENABLED", variants, defaultVariant: "red", targeting: rules };
    return { flags: { f: flag } } as FlagdFile;
  };

  test.each(DIFFERENCES)("still exists: $name", (difference) => {
    const { targeting: rules, context: subject } = difference.example;
    const { imported, comparisons } = compareWithFlagd(fileOf(rules), [subject]);
    expect(imported.refused).toEqual([]);
    const [comparison] = comparisons;
    expect(comparison && isAlike(comparison)).toBe(false);
    expect(comparison && reasonsOf(comparison)).toEqual([difference.name]);
  });

  test("is a row of the table, and every row is one", () => {
    const text = readFileSync(new URL("../../docs/flagd-differences.md", import.meta.url), "utf8");
    const rows = text.split("\n").flatMap((line) => /^\| (?!here|context|---)(.+?) \|/.exec(line)?.[1] ?? []);
    expect(rows).toEqual(DIFFERENCES.map(({ name }) => name));
  });
});
