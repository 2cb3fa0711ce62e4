import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Condition, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Context } from "../../src/engine/index.js";
import { runs, SEED } from "./arbitrary-words.js";
import { all, any, ask, flag, match, rule, serve, serveRollout, snapshotOf } from "./build.js";

/** Values that lookups confuse if they can: of several types, of the same length and first character, and empty. */
const literal = fc.constantFrom<string | number | boolean>(
  "pro",
  "pre",
  "PRO",
  "p",
  "",
  "5",
  5,
  0,
  -0,
  5.5,
  "true",
  true,
  false,
  "__proto__",
);
const attribute = fc.constantFrom("plan", "age", "team", "device.os", "targetingKey", "__proto__", "constructor");

const lookUp: fc.Arbitrary<Condition> = fc
  .tuple(attribute, fc.array(literal, { minLength: 1, maxLength: 4 }), fc.nat(9))
  .map(([name, values, shape]) => {
    const condition = match(name, Operator.IN, values, { ignoreCase: shape === 9 });
    if (shape === 8) return all(condition);
    return shape === 7 ? any(condition) : condition;
  });
const other: fc.Arbitrary<Condition> = fc.constantFrom(
  match("plan", Operator.STARTS_WITH, ["pr"]),
  match("age", Operator.GREATER, [3]),
  all(match("plan", Operator.IN, ["pro", "pre"]), match("team", Operator.IN, ["p", "pro"])),
  all(match("plan", Operator.IN, ["pro"]), match("plan", Operator.IN, ["pro", "pre"])),
  match("team", Operator.EXISTS, []),
);
const conditions = fc.array(fc.oneof({ weight: 5, arbitrary: lookUp }, { weight: 1, arbitrary: other }), {
  minLength: 1,
  maxLength: 9,
});

const value = fc.oneof(
  literal,
  fc.constantFrom<unknown>(
    null,
    undefined,
    Number.NaN,
    10n,
    new String("pro"),
    { toJSON: () => "pro" },
    {},
    () => "pro",
  ),
  fc.array(fc.oneof(literal, fc.constant(null)), { maxLength: 3 }),
);
const context: fc.Arbitrary<Context> = fc
  .record({
    own: fc.dictionary(fc.constantFrom("plan", "age", "team", "device.os"), value, { maxKeys: 4 }),
    inherited: fc.dictionary(fc.constantFrom("plan", "age", "team"), value, { maxKeys: 2 }),
    targetingKey: fc.constantFrom("p", "pro", ""),
    inherits: fc.boolean(),
  })
  .map(({ own, inherited, targetingKey, inherits }) =>
    Object.assign(Object.create(inherits ? inherited : Object.prototype), { ...own, targetingKey }),
  );

describe(`many rules (seed ${SEED})`, () => {
  test("answer as the first of them does that holds alone", () => {
    fc.assert(
      fc.property(conditions, fc.array(context, { minLength: 4, maxLength: 8 }), (list, contexts) => {
        const rules = list.map((condition, index) => rule(condition, `r${index}`));
        const shares = [{ variant: "c", weight: 1 }];
        const served = { rules, default: serveRollout({ shares, bucketBy: "nothing" }) };
        const alone = rules.map((one, index) => flag(`alone-${index}`, { rules: [one], default: serve("c") }));
        const snapshot = snapshotOf(flag("f", served), ...alone);
        for (const asked of contexts) {
          const first = rules.find((_, index) => ask(snapshot, `alone-${index}`, asked).variant === "b");
          expect(ask(snapshot, "f", asked).ruleId).toBe(first?.id);
        }
      }),
      runs(1_500),
    );
  });
});
