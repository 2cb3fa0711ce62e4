import { afterEach, expect, test, vi } from "vitest";
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

test.each([
  ["semver_less", Operator.SEMVER_LESS, many((i) => `1.0.${i}`), "2.0.0"],
  ["before", Operator.BEFORE, many((i) => `20${i + 10}-01-01T00:00:00Z`), "2100-01-01T00:00:00Z"],
  ["in_cidr", Operator.IN_CIDR, many((i) => `10.0.${i}.0/24`), "192.168.0.1"],
])("%s parses an attribute once, however many values there are", (_, operator, values, attribute) => {
  const snapshot = snapshotOf(flag("f", { rules: [rule(match("x", operator, values))] }));
  const exec = vi.spyOn(RegExp.prototype, "exec");
  expect(ask(snapshot, "f", { x: attribute }).variant).toBe("a");
  expect(exec).toHaveBeenCalledTimes(1);
});
