import type { Comparison } from "./compare.js";
import type { Json } from "./generate.js";
import { type Use, usesOf, valueAt } from "./uses.js";

/** A way in which answers differ from those of flagd's JavaScript evaluation. docs/flagd-differences.md says why. */
export interface Difference {
  /** As in the first column of the table. */
  readonly name: string;
  /** Whether a case can differ so. */
  readonly applies: (comparison: Comparison) => boolean;
  /** A small case that does. The variants are on, off, red, true and false; the default variant is red. */
  readonly example: { readonly targeting: Json; readonly context: Readonly<Record<string, Json>> };
}

const EQUALITY = new Set(["==", "!="]);
const ORDER = new Set(["<", "<=", ">", ">="]);

/** Whether any operand of the targeting is of some kind, with its value: the attribute's, else its default or the constant. */
function someUse(test: (use: Use, value: Json | undefined) => boolean) {
  return ({ targeting, context }: Comparison): boolean =>
    usesOf(targeting).some((use) => {
      const found = use.attribute === undefined ? undefined : valueAt(context, use.attribute);
      return test(use, found ?? use.constant);
    });
}

/** What a path's last step is taken from; undefined for a name without steps. */
const parentOf = (context: Comparison["context"], attribute: string | undefined): Json | undefined =>
  attribute?.includes(".") ? valueAt(context, attribute.slice(0, attribute.lastIndexOf("."))) : undefined;

const isMissing = (value: Json | undefined): boolean => value === undefined || value === null;
const isCoerced = (operator: string): boolean => EQUALITY.has(operator) || ORDER.has(operator);
const isNumeric = (value: Json | undefined): boolean => typeof value === "number" || typeof value === "boolean";

export const DIFFERENCES: readonly Difference[] = [
  {
    name: "a list or an object where one value is compared",
    applies: someUse(
      ({ attribute, operator }, value) =>
        attribute !== undefined && operator !== "fractional" && typeof value === "object" && value !== null,
    ),
    example: { targeting: { if: [{ starts_with: [{ var: "s1" }, "a"] }, "on"] }, context: { s1: ["ab"] } },
  },
  {
    name: "text compared with a number",
    applies: someUse(
      ({ operator, others }, value) =>
        isCoerced(operator) &&
        others.some(
          (other) => (typeof value === "string" && isNumeric(other)) || (isNumeric(value) && typeof other === "string"),
        ),
    ),
    example: { targeting: { if: [{ "<": [{ var: "n1" }, 18] }, "on"] }, context: { n1: "5" } },
  },
  {
    name: "a missing attribute, or null, under ==, != or an order",
    applies: someUse(({ operator }, value) => isCoerced(operator) && isMissing(value)),
    example: { targeting: { if: [{ "==": [{ var: "n1" }, 0] }, "on"] }, context: {} },
  },
  {
    name: "null where var has a default",
    applies: ({ targeting, context }) =>
      usesOf(targeting).some(
        ({ attribute, constant }) =>
          attribute !== undefined && constant !== undefined && valueAt(context, attribute) === null,
      ),
    example: { targeting: { if: [{ "===": [{ var: ["s1", "a"] }, "a"] }, "on"] }, context: { s1: null } },
  },
  {
    name: "a targeting key that is empty or no text",
    applies: ({ targeting, context: { targetingKey } }) =>
      targetingKey !== undefined &&
      (typeof targetingKey !== "string" || targetingKey === "") &&
      usesOf(targeting).some(({ operator, attribute }) => operator === "fractional" || attribute === "targetingKey"),
    example: { targeting: { fractional: [["on", 1]] }, context: { targetingKey: 5 } },
  },
  {
    name: "fractional by an attribute that is missing",
    applies: someUse(({ operator, at }, value) => operator === "fractional" && at === 0 && isMissing(value)),
    example: { targeting: { fractional: [{ var: "id" }, ["on", 1]] }, context: { targetingKey: "u1" } },
  },
  {
    name: "fractional by an attribute that is a list",
    applies: someUse(
      ({ operator, attribute }, value) => operator === "fractional" && attribute !== undefined && Array.isArray(value),
    ),
    example: { targeting: { fractional: [{ var: "id" }, ["on", 1]] }, context: { targetingKey: "u1", id: ["off"] } },
  },
  {
    name: "an entry of fractional of other than one or two elements, or with a weight of null",
    applies: someUse(
      ({ operator, constant }) =>
        operator === "fractional" && Array.isArray(constant) && (constant.length > 2 || constant[1] === null),
    ),
    example: { targeting: { fractional: [["on", 1, 2]] }, context: { targetingKey: "u1" } },
  },
  {
    name: "a key of the context with dots in it",
    applies: ({ targeting, context }) =>
      usesOf(targeting).some(({ attribute }) => attribute?.includes(".") === true && Object.hasOwn(context, attribute)),
    example: { targeting: { if: [{ "===": [{ var: "nested.s3" }, "a"] }, "on"] }, context: { "nested.s3": "a" } },
  },
  {
    name: "a path through empty text, 0 or false",
    applies: ({ targeting, context }) =>
      usesOf(targeting).some(({ attribute }) => ["", 0, false].some((empty) => parentOf(context, attribute) === empty)),
    example: { targeting: { if: [{ in: [{ var: "nested.s3" }, [""]] }, "on"] }, context: { nested: "" } },
  },
  {
    name: "a number as a version",
    applies: someUse(({ operator }, value) => operator === "sem_ver" && isNumeric(value)),
    example: { targeting: { if: [{ sem_ver: [{ var: "version" }, ">=", "1.0.0"] }, "on"] }, context: { version: 2 } },
  },
  {
    name: "in something that is neither text nor a list, or a number in text",
    applies: someUse(
      ({ operator, at, others }, value) =>
        operator === "in" &&
        at === 1 &&
        (isNumeric(value) || (typeof value === "string" && others.some((other) => typeof other !== "string"))),
    ),
    example: { targeting: { if: [{ in: [1, { var: "s1" }] }, "on"] }, context: { s1: "18" } },
  },
  {
    name: "in of the empty text in an attribute that is empty",
    applies: someUse(
      ({ operator, at, others }, value) => operator === "in" && at === 1 && value === "" && others.includes(""),
    ),
    example: { targeting: { if: [{ in: ["", { var: "s1" }] }, "on"] }, context: { s1: "" } },
  },
  {
    name: "cat of anything but text and whole numbers",
    applies: someUse(
      ({ operator, attribute }, value) =>
        operator === "cat" &&
        attribute !== undefined &&
        (typeof value === "string" ? value !== value.trim() || value === "" : !Number.isSafeInteger(value)),
    ),
    example: { targeting: { fractional: [{ cat: ["s-", { var: "id" }] }, ["on", 1]] }, context: { id: 1.5 } },
  },
];
