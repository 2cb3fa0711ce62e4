import { create } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { value } from "./build.js";

/** The seed of this run's properties; set FLAGWIRE_TEST_SEED to repeat one. */
export const SEED = Number(process.env.FLAGWIRE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Parameters of a property that is tried so many times; fast-check prints seed and path where it fails. */
export const runs = (numRuns: number) => ({ numRuns, seed: SEED });

export const PLAIN_KEYS = ["x", "y", "z", "w"] as const;
/** Few, so that what is generated refers to what is generated; some of them traps of JavaScript. */
export const anyKey = fc.constantFrom(...PLAIN_KEYS, "__proto__", "constructor", "", "\ud800", "été");
const VARIANTS = ["a", "b", "c", "off"] as const;
export const someVariant = fc.constantFrom(...VARIANTS);
export const anyVariant = fc.constantFrom(...VARIANTS, ...VARIANTS, "", "nope", "__proto__", "toString");
const TARGETING_KEYS = ["u1", "u2", "u3", "ejOoVL", "ceQdGm", "Zoë"] as const;
export const someTargetingKey = fc.constantFrom(...TARGETING_KEYS);
const ATTRIBUTES = ["targetingKey", "plan", "age", "beta", "list", "device.os", "signed", "version", "ip"] as const;
export const someAttribute = fc.constantFrom(...ATTRIBUTES);

/** Any sequence of UTF-16 code units, lone surrogates included. */
export const anyText = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)), maxLength: 12 });
const TRAPS = [
  "$now",
  "device",
  "a..b",
  ".",
  "device.__proto__.os",
  "constructor.prototype.plan",
  "toJSON",
  "os.length",
];
export const anyAttribute = fc.oneof(someAttribute, anyKey, fc.constantFrom(...TRAPS), anyText);
export const anyNumber = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    1,
    5,
    2 ** 31,
    2 ** 53,
    2 ** 53 + 2,
    1e308,
    -1e308,
    5e-324,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ),
  fc.double(),
);
export const someText = fc.constantFrom(
  "pro",
  "PRO",
  "free",
  "pr",
  "o",
  "",
  "ß",
  "İ",
  "10.1.2.3",
  "1.2.3",
  "2026-01-01T00:00:00Z",
);
export const someNumber = fc.constantFrom(-1, 0, 1, 5, 5.5, 18, 1_767_225_600_000, 2 ** 53);

/** Any value, such as a hostile or a newer server could send. */
export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(fc.constant(null), fc.boolean(), anyNumber, someText, anyText).map(value),
    fc.constant(0).map(() => create(ValueSchema)),
    fc
      .array(tie("value"), { maxLength: 3 })
      .map((values) => create(ValueSchema, { kind: { case: "listValue", value: { values } } })),
    fc
      .dictionary(anyKey, tie("value"), { maxKeys: 3 })
      .map((fields) => create(ValueSchema, { kind: { case: "structValue", value: { fields } } })),
  ),
})).value;

export const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Leaves out what is undefined, as messages do. */
export function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
