import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Condition, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Context } from "../../src/engine/index.js";
import { runs, SEED } from "./arbitrary-words.js";
import { all, any, ask, flag, match, rule, serveRollout, snapshotOf } from "./build.js";

type Literal = string | number | boolean;

/** A condition that plain code can judge. */
interface Plain {
  readonly kind: "match" | "all" | "any";
  readonly parts: readonly {
    readonly name: string;
    readonly operator: Operator;
    readonly values: readonly Literal[];
  }[];
}

/** Values that look-ups confuse if they can: of several types, of the same length and first character, and empty. */
const literal = fc.constantFrom<Literal>(
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
const name = fc.constantFrom("plan", "age", "team", "device.os", "targetingKey", "__proto__", "constructor");

const part = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      name,
      operator: fc.constant(Operator.IN),
      values: fc.array(literal, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ name, operator: fc.constant(Operator.STARTS_WITH), values: fc.constant(["pr"]) }),
  },
  { weight: 1, arbitrary: fc.record({ name, operator: fc.constant(Operator.GREATER), values: fc.constant([3]) }) },
  { weight: 1, arbitrary: fc.record({ name, operator: fc.constant(Operator.BEFORE), values: fc.constant([4]) }) },
  { weight: 1, arbitrary: fc.record({ name, operator: fc.constant(Operator.EXISTS), values: fc.constant([]) }) },
);
const plain: fc.Arbitrary<Plain> = fc.oneof(
  { weight: 6, arbitrary: part.map((one) => ({ kind: "match" as const, parts: [one] })) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("all" as const, "any" as const),
      parts: fc.array(part, { minLength: 1, maxLength: 3 }),
    }),
  },
);

function toCondition({ kind, parts }: Plain): Condition {
  const matches = parts.map(({ name, operator, values }) => match(name, operator, values));
  const [only] = matches;
  if (kind === "match" && only !== undefined) return only;
  return kind === "all" ? all(...matches) : any(...matches);
}

/** A condition by the rules of condition.proto, read off without haste. */
function holds({ kind, parts }: Plain, context: Context): boolean {
  const results = parts.map(({ name, operator, values }) => {
    const value = read(context, name);
    if (value === undefined) return false;
    if (operator === Operator.EXISTS) return true;
    return (Array.isArray(value) ? value.map(toJson) : [value]).some((one) => compare(one, operator, values));
  });
  return kind === "any" ? results.includes(true) : !results.includes(false);
}

function compare(value: unknown, operator: Operator, values: readonly Literal[]): boolean {
  switch (operator) {
    case Operator.IN:
      return values.some((one) => one === value);
    case Operator.STARTS_WITH:
      return typeof value === "string" && values.some((one) => value.startsWith(String(one)));
    case Operator.GREATER:
      return typeof value === "number" && values.some((one) => value > Number(one));
    case Operator.BEFORE:
      return typeof value === "number" && values.some((one) => value < Number(one));
    default:
      throw new Error(`no rule for ${operator}`);
  }
}

/** An exact key or, if there is none, a path; only what is the context's own, but for the targeting key. */
function read(context: Context, name: string): unknown {
  if (name === "targetingKey") return context.targetingKey === "" ? undefined : context.targetingKey;
  const exact = Object.hasOwn(context, name) ? toJson(context[name]) : undefined;
  if (exact !== undefined || !name.includes(".")) return exact ?? undefined;
  const device = Object.hasOwn(context, "device") ? (context.device as Record<string, unknown>) : {};
  return Object.hasOwn(device, "os") ? (toJson(device.os) ?? undefined) : undefined;
}

/** What JSON makes of the values below; undefined for what it cannot hold. */
function toJson(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value === "bigint" || typeof value === "function") return undefined;
  if (value instanceof String) return value.valueOf();
  return typeof value === "object" && value !== null && "toJSON" in value ? "pro" : value;
}

const value = fc.oneof(
  literal,
  fc.constantFrom<unknown>(
    null,
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    10n,
    new String("pro"),
  ),
  fc.constantFrom<unknown>({ toJSON: () => "pro" }, {}, () => "pro"),
  fc.array(fc.oneof(literal, fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY)), { maxLength: 3 }),
);
const names = fc.constantFrom("plan", "age", "team", "device.os");
const context: fc.Arbitrary<Context> = fc
  .record({
    own: fc.dictionary(names, value, { maxKeys: 4 }),
    inherited: fc.dictionary(names, value, { maxKeys: 3 }),
    device: fc.dictionary(fc.constant("os"), value, { maxKeys: 1 }),
    targetingKey: fc.constantFrom("p", "pro", ""),
    inherits: fc.boolean(),
  })
  .map(({ own, inherited, device, targetingKey, inherits }) =>
    Object.assign(Object.create(inherits ? inherited : Object.prototype), { device }, own, { targetingKey }),
  );

describe(`many rules (seed ${SEED})`, () => {
  test("answer by the first that holds as it is written", () => {
    fc.assert(
      fc.property(
        fc.array(plain, { minLength: 1, maxLength: 9 }),
        fc.array(context, { minLength: 4, maxLength: 8 }),
        (list, contexts) => {
          const rules = list.map((one, index) => rule(toCondition(one), `r${index}`));
          const shares = [{ variant: "c", weight: 1 }];
          const snapshot = snapshotOf(flag("f", { rules, default: serveRollout({ shares, bucketBy: "nothing" }) }));
          for (const asked of contexts) {
            const first = list.findIndex((one) => holds(one, asked));
            expect(ask(snapshot, "f", asked).ruleId).toBe(first < 0 ? undefined : `r${first}`);
          }
        },
      ),
      runs(3_000),
    );
  });
});
