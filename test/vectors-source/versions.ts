import { checkPlainRows, checkRows, type Row } from "./check-match.js";
import { Draft } from "./draft.js";
import type { Json, VectorFile } from "./vector-file.js";

/** In ascending order, by section 11 of semver.org 2.0.0. */
const ascending: readonly string[] = [
  "0.0.0-0",
  "0.0.0",
  "0.0.1",
  "0.9.9",
  "1.0.0-0",
  "1.0.0-2",
  "1.0.0-11",
  "1.0.0-9007199254740993",
  "1.0.0-99999999999999999999",
  "1.0.0--",
  "1.0.0-0a",
  "1.0.0-Beta",
  `1.0.0-${"a".repeat(250)}`,
  "1.0.0-alpha",
  "1.0.0-alpha.1",
  "1.0.0-alpha.1.0",
  "1.0.0-alpha.beta",
  "1.0.0-beta",
  "1.0.0-beta.2",
  "1.0.0-beta.11",
  "1.0.0-rc.1",
  "1.0.0",
  "1.0.1-alpha",
  "1.0.1",
  "1.9.0",
  "1.10.0",
  "1.10.10",
  "2.0.0",
  "10.0.0",
  "9007199254740993.0.0",
  "9007199254740994.0.0",
  "99999999999999999999.0.0",
  `${"9".repeat(252)}.0.0`,
];

/** Some of these, to compare all of them with. */
const anchors = ["1.0.0-beta.2", "1.0.0", "1.10.0"];

const operators: Readonly<Record<string, (order: number) => boolean>> = {
  SEMVER_EQUAL: (order) => order === 0,
  SEMVER_LESS: (order) => order < 0,
  SEMVER_LESS_OR_EQUAL: (order) => order <= 0,
  SEMVER_GREATER: (order) => order > 0,
  SEMVER_GREATER_OR_EQUAL: (order) => order >= 0,
};

/** Each anchor with each operator: a version's place in the list is its place in the order. */
const ordered: readonly Row[] = anchors.flatMap((anchor, index) =>
  Object.entries(operators).map(([operator, accepts]): Row => {
    const isHeld = (version: string) => accepts(ascending.indexOf(version) - ascending.indexOf(anchor));
    return {
      name: `${operator.slice(7).toLowerCase()}-${index}`,
      operator,
      values: [anchor],
      holds: ascending.filter(isHeld),
      fails: ascending.filter((version) => !isHeld(version)),
    };
  }),
);

/** Texts that are no version, even without a `v` and with what is missing added. */
const invalid: readonly Json[] = [
  "",
  "v",
  "latest",
  "vv1.2.3",
  "=1.2.3",
  "^1.2.3",
  "1.2.x",
  "1.2.3.4",
  "1..3",
  ".1.2",
  "1.2.",
  "01.2.3",
  "1.02.3",
  "1.2.03",
  "-1.2.3",
  "1,2,3",
  " 1.2.3",
  "1.2.3 ",
  "1.2.3\n",
  "1.2.3-",
  "1.2.3-a..b",
  "1.2.3-01",
  "1.2.3-a_b",
  "1.2.3-é",
  "V",
  "vV1.2.3",
  "1.2.3v",
  // 257 characters.
  `1.2.3-${"a".repeat(251)}`,
  `1.2.3+${"0".repeat(10_000)}`,
  "1.2.3+",
  "1.2.3+a..b",
  "1.2.3+a+b",
  "١.٢.٣",
];

const forms: readonly Row[] = [
  // Build metadata does not count; a leading v is dropped; what is missing is 0.
  {
    name: "forms",
    operator: "SEMVER_EQUAL",
    values: ["1.2.0"],
    holds: [
      "1.2.0",
      "1.2",
      "v1.2.0",
      "v1.2",
      "V1.2.0",
      "V1.2",
      "1.2.0+build",
      "1.2+001",
      "1.2.0+a-b.c.0",
      `1.2.0+${"0".repeat(250)}`,
    ],
    fails: ["1", "1.2.1", "1.2.0-rc.1", "1.2-rc.1", "1.3", "12.0"],
  },
  {
    name: "forms-of-values",
    operator: "SEMVER_EQUAL",
    values: ["V3", "4.1-rc.1+x"],
    holds: ["3", "3.0", "3.0.0", "v3.0.0+y", "4.1.0-rc.1", "v4.1-rc.1"],
    fails: ["3.0.1", "3.1", "4.1.0", "4.1.0-rc.2", "4"],
  },
  { name: "build", operator: "SEMVER_LESS", values: ["1.0.0+2"], holds: ["0.9.9+9"], fails: ["1.0.0+1", "1.0.0"] },
  {
    name: "several",
    operator: "SEMVER_EQUAL",
    values: ["1.0.0", "2.0.0"],
    holds: ["1", "2", ["x", "2.0"], [3, null, "1"]],
    fails: ["3", ["3", "4"], 1, [2]],
  },
  { name: "less-several", operator: "SEMVER_LESS", values: ["1.0.0", "2.0.0"], holds: ["1.5.0"], fails: ["2.0.0"] },
  { name: "greater-several", operator: "SEMVER_GREATER", values: ["2.0.0", "1.0.0"], holds: ["1.5.0"], fails: ["1"] },
  { name: "invalid-greater", operator: "SEMVER_GREATER_OR_EQUAL", values: ["0.0.0-0"], holds: ["0"], fails: invalid },
  { name: "invalid-less", operator: "SEMVER_LESS", values: ["999.0.0"], holds: ["0"], fails: invalid },
];

/** Comparisons of versions. */
export function versions(): VectorFile {
  const draft = new Draft("sv", "Versions by semver.org 2.0.0.");
  checkPlainRows(draft, ordered);
  checkRows(draft, forms);
  return draft.finish();
}
