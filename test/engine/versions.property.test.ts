import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { digits, nearly } from "./arbitrary-texts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { answerOf, holds } from "./holds.js";
import { compareReferenceVersions, toReferenceVersion } from "./reference-version.js";

const identifier = fc.oneof(fc.nat(20).map(String), fc.constantFrom("alpha", "beta", "rc", "x-y", "-", "0a", "A"));
const version = fc
  .tuple(fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }), fc.array(identifier, { maxLength: 3 }))
  .map(([core, prerelease]) => ({ core, prerelease }));
type Version = { readonly core: readonly number[]; readonly prerelease: readonly string[] };
const textOf = ({ core, prerelease }: Version) =>
  core.join(".") + (prerelease.length > 0 ? `-${prerelease.join(".")}` : "");

/** Section 11 of semver.org 2.0.0: a key whose parts compare as versions do; no prerelease comes after any. */
function precedence({ core, prerelease }: Version): (readonly [rank: number, number: number, text: string])[] {
  const numbers = core.map((number) => [1, number, ""] as const);
  if (prerelease.length === 0) return [...numbers, [3, 0, ""]];
  return [
    ...numbers,
    ...prerelease.map((id) => (/^\d+$/.test(id) ? ([1, Number(id), ""] as const) : ([2, 0, id] as const))),
  ];
}

function compareVersions(one: Version, other: Version): number {
  const [a, b] = [precedence(one), precedence(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [x, y] = [a[index] ?? [0, 0, ""], b[index] ?? [0, 0, ""]];
    for (const part of [0, 1, 2] as const) if (x[part] !== y[part]) return x[part] < y[part] ? -1 : 1;
  }
  return 0;
}

describe(`versions (seed ${SEED})`, () => {
  test("compare by semver.org's precedence", () => {
    fc.assert(
      fc.property(version, version, fc.constantFrom("", "+build.7", "+01"), (one, other, build) => {
        const order = compareVersions(one, other);
        const answers = [
          Operator.SEMVER_EQUAL,
          Operator.SEMVER_LESS,
          Operator.SEMVER_LESS_OR_EQUAL,
          Operator.SEMVER_GREATER,
          Operator.SEMVER_GREATER_OR_EQUAL,
        ].map((operator) => holds(`v${textOf(one)}`, operator, [textOf(other) + build]));
        expect(answers).toEqual([order === 0, order < 0, order <= 0, order > 0, order >= 0]);
      }),
      runs(500),
    );
  });

  test("have zeros where minor and patch are missing", () => {
    for (const text of ["2", "v2", "2.0", "2.0.0", "2+b"])
      expect(holds(text, Operator.SEMVER_EQUAL, ["2.0.0"])).toBe(true);
    expect(holds("2-rc", Operator.SEMVER_LESS, ["2"])).toBe(true);
  });

  test("have numbers of any size", () => {
    const large = "9007199254740993";
    expect(holds(`1.${large}.0`, Operator.SEMVER_GREATER, ["1.9007199254740992.0"])).toBe(true);
    expect(holds(`1.0.0-${large}`, Operator.SEMVER_EQUAL, ["1.0.0-9007199254740992"])).toBe(false);
  });
});

describe(`versions are read and compared as by an expression for their grammar (seed ${SEED})`, () => {
  const number = fc.oneof(
    fc.nat(2).map(String),
    digits(3).map((text) => text.replace(/^0+(?=.)/, "")),
    fc.bigInt({ min: 0n, max: 10n ** 40n }).map(String),
  );
  const word = fc.string({ unit: fc.constantFrom(..."01aAzZ-"), minLength: 1, maxLength: 4 });
  const identifier = fc.oneof(number, word, fc.constantFrom("rc", "rc1", "1rc", "-", "0a"));
  const identifiers = (sign: string, of: fc.Arbitrary<string>) =>
    fc.array(of, { maxLength: 3 }).map((list) => (list.length === 0 ? "" : sign + list.join(".")));
  const version = fc
    .tuple(
      fc.constantFrom("", "", "v", "V"),
      fc.array(number, { minLength: 1, maxLength: 3 }),
      identifiers("-", identifier),
      identifiers("+", fc.oneof(identifier, digits(3))),
    )
    .map(([v, core, prerelease, build]) => v + core.join(".") + prerelease + build);
  const text = nearly(version, "0123.-+vVaZ_ é");

  test("for any text", () => {
    fc.assert(
      fc.property(text, (attribute) => {
        const isVersion = toReferenceVersion(attribute) !== undefined;
        expect(holds(attribute, Operator.SEMVER_GREATER_OR_EQUAL, ["0-0"])).toBe(isVersion);
        expect(answerOf("1", Operator.SEMVER_EQUAL, [attribute]) !== undefined).toBe(isVersion);
      }),
      runs(5_000),
    );
  });

  test("for two of them, which may begin alike", () => {
    const alike = fc
      .tuple(version, text, fc.nat(12))
      .map(([one, other, at]) => [one, one.slice(0, at) + other] as const);
    fc.assert(
      fc.property(fc.oneof(fc.tuple(version, version), alike), ([literal, attribute]) => {
        const [one, other] = [toReferenceVersion(attribute), toReferenceVersion(literal)];
        fc.pre(other !== undefined);
        const order = one && other && compareReferenceVersions(one, other);
        expect(holds(attribute, Operator.SEMVER_LESS, [literal])).toBe(order !== undefined && order < 0);
        expect(holds(attribute, Operator.SEMVER_EQUAL, [literal])).toBe(order === 0);
        expect(holds(attribute, Operator.SEMVER_GREATER, [literal])).toBe(order !== undefined && order > 0);
      }),
      runs(5_000),
    );
  });
});
