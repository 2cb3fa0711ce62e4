import { afterEach, describe, expect, test, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { ask, flag, match, rule, snapshotOf } from "./build.js";

afterEach(() => {
  vi.restoreAllMocks();
});

const many = (of: (index: number) => string) => Array.from({ length: 50 }, (_, index) => of(index));

test.each([
  ["contains", Operator.CONTAINS, many((i) => `Q${i}`), "Some Text"],
  ["starts_with", Operator.STARTS_WITH, many((i) => `Q${i}`), "Some Text"],
  ["ends_with", Operator.ENDS_WITH, many((i) => `Q${i}`), "Some Text"],
])("%s folds the case of an attribute once, however many values there are", (_, operator, values, attribute) => {
  const condition = match("x", operator, values, { ignoreCase: true });
  const snapshot = snapshotOf(flag("f", { rules: [rule(condition)] }));
  const fold = vi.spyOn(String.prototype, "toLowerCase");
  expect(ask(snapshot, "f", { x: attribute }).variant).toBe("a");
  expect(fold).toHaveBeenCalledTimes(1);
  expect(ask(snapshot, "f", { x: [attribute, attribute, attribute] }).variant).toBe("a");
  expect(fold).toHaveBeenCalledTimes(1 + 3);
});

/** How many characters an evaluation reads of an attribute. */
function charactersRead(operator: Operator, values: readonly string[], attribute: string): number {
  const snapshot = snapshotOf(flag("f", { rules: [rule(match("x", operator, values))] }));
  const read = vi.spyOn(String.prototype, "charCodeAt");
  expect(ask(snapshot, "f", { x: attribute }).variant).toBe("a");
  const { length } = read.mock.calls;
  read.mockRestore();
  return length;
}

test.each([
  ["semver_less", Operator.SEMVER_LESS, many((i) => `1.0.${i}`), `2.0.0-${"long.".repeat(40)}rc`, 6],
  ["before", Operator.BEFORE, many((i) => `20${i + 10}-01-01T00:00:00Z`), "2100-01-01T00:00:00.000000001Z", 0],
  ["in_cidr", Operator.IN_CIDR, many((i) => `10.0.${i}.0/24`), "192.168.0.1", 0],
])("%s reads an attribute once, however many values there are", (_, operator, values, attribute, readPerValue) => {
  const once = charactersRead(operator, values.slice(0, 1), attribute);
  const perValue = (charactersRead(operator, values, attribute) - once) / (values.length - 1);
  expect(once).toBeGreaterThanOrEqual(attribute.length);
  expect(perValue).toBeLessThanOrEqual(readPerValue);
});

describe("a hostile text is read in time linear in its length, and not at all where it is too long", () => {
  const fill = (before: string, repeated: string, after: string, length: number) =>
    before + repeated.repeat(length).slice(0, length - before.length - after.length) + after;
  const version: readonly string[][] = [
    ["1.0.0-", "a", "!"],
    ["1.0.0-", "0.", "00"],
    ["1", "0", "x"],
    ["1.0.0+", "1-", "+"],
    ["1-", "-", "."],
  ];
  const time: readonly string[][] = [
    ["2026-01-01T00:00:00.", "0", "X"],
    ["2026-01-01T00:00:00.", "9", ""],
    ["2026-01-01T00:00:00.", "0", "+24:00"],
  ];
  const address: readonly string[][] = [
    ["", "1", "."],
    [":", ":", ""],
    ["", "1:", ""],
    ["::", "f", ""],
    ["1.", "0.", "0"],
    ["::", "1.", "1"],
  ];
  test.each([
    ["semver_less", Operator.SEMVER_LESS, "1.0.0", version, 256],
    ["before", Operator.BEFORE, "2026-01-01T00:00:00Z", time, 128],
    ["in_cidr", Operator.IN_CIDR, "::/0", address, 45],
  ])("by %s", (_, operator, literal, texts, limit) => {
    for (const [before = "", repeated = "", after = ""] of texts) {
      expect(charactersRead(operator, [literal], fill(before, repeated, after, limit))).toBeLessThanOrEqual(6 * limit);
      expect(charactersRead(operator, [literal], fill(before, repeated, after, limit + 1))).toBe(0);
    }
  });
});
