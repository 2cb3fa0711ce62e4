import { type Draft, enabled, match, rule } from "./draft.js";
import { unsound } from "./unsound.js";
import type { Json } from "./vector-file.js";

/** Values that an operator cannot compare with, each after one that it can. */
const badLiterals: Readonly<Record<string, readonly [good: Json, bad: readonly Json[]]>> = {
  IN: ["x", []],
  CONTAINS: ["x", [1, true]],
  STARTS_WITH: ["x", [1]],
  ENDS_WITH: ["x", [false]],
  MATCHES: ["x", [1, "(", "a{1001}", "(?=x)", "(?<!x)y", "\\1", "[z-a]", "*", "x".repeat(1_025)]],
  EQUAL: [1, ["1", true]],
  LESS: [1, ["1"]],
  LESS_OR_EQUAL: [1, ["one"]],
  GREATER: [1, [""]],
  GREATER_OR_EQUAL: [1, [false]],
  BEFORE: [
    1,
    [
      true,
      "tomorrow",
      "2026-01-01",
      "2026-01-01T00:00:00",
      "2026-02-30T00:00:00Z",
      "1",
      `2026-01-01T00:00:00.${"0".repeat(108)}Z`,
    ],
  ],
  AFTER: ["2026-01-01T00:00:00Z", [false, "", "2026-01-01T24:00:00Z"]],
  SEMVER_EQUAL: ["1.0.0", [1, "", "latest", "1.2.3.4", "01.2.3", `1.0.0-${"a".repeat(251)}`]],
  SEMVER_LESS: ["1.0.0", [1.2, "1.2.3-01"]],
  SEMVER_LESS_OR_EQUAL: ["1.0.0", ["^1.2.3"]],
  SEMVER_GREATER: ["1.0.0", ["1.2.3-"]],
  SEMVER_GREATER_OR_EQUAL: ["1.0.0", ["1..2"]],
  IN_CIDR: ["10.0.0.0/8", [1, "", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "::1::", "x/8"]],
};

/** Each of them in a flag of its own; and a match without values. */
export function literals(draft: Draft): void {
  for (const [operator, [good, bad]] of Object.entries(badLiterals)) {
    const name = `literal-${operator.toLowerCase()}`;
    unsound(draft, `${name}-none`, enabled({ rules: [rule(match(operator))] }));
    for (const [index, value] of [...bad, null, {}, [good]].entries()) {
      unsound(draft, `${name}-${index}`, enabled({ rules: [rule(match(operator, [good, value]))] }));
    }
  }
}
