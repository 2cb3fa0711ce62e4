import type { JsonValue } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { exists, isHashable, isIn, type Literal, match, SOME_TEXT, TARGETING_KEY } from "./attribute-test.js";
import type { Term } from "./cases.js";
import { isLess, isTruthy, looselyEqual, strictlyEqual, toNumber } from "./constant.js";
import type { Findings } from "./findings.js";
import { ALWAYS, all, any, constantFormula, type Formula, NEVER, not } from "./formula.js";
import { quote } from "./json.js";
import type { Place } from "./place.js";

// How flagd compares, in our terms. flagd coerces and we do not, so every coerced value that can be listed is listed, and
// a warning names what cannot be. Where the Go daemon fails (and the caller gets its own default) a comparison is false
// here. A list under ==, <, starts_with and the like is false or an error in flagd, while our match looks at its elements;
// rules are kept readable instead of excluding lists everywhere. Only `in` on an attribute, where lists are what people
// have, tells text and lists apart.

type Attribute = Extract<Term, { kind: "attribute" }>;

/** `<` and its like. */
export type OrderOperator = "<" | "<=" | ">" | ">=";

const MIRRORED: Readonly<Record<OrderOperator, OrderOperator>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

const ORDER_OPERATORS: Readonly<Record<OrderOperator, Operator>> = {
  "<": Operator.LESS,
  "<=": Operator.LESS_OR_EQUAL,
  ">": Operator.GREATER,
  ">=": Operator.GREATER_OR_EQUAL,
};

const NUMERIC_TEXT_WARNING =
  'in flagd a text such as "18.0" compares as the number 18; here text other than the one listed does not';
const NUMERIC_LIST_WARNING =
  'flagd\'s Go daemon also finds the number 5 in a list that holds "5", its JavaScript evaluation does not; here it is not found';
const MISSING_IS_FALSE_WARNING =
  "where the attribute is missing, it equals false and 0 in flagd's JavaScript evaluation but not in the Go daemon; here it does not";

/** Translates comparisons of one flag. */
export class Comparisons {
  constructor(readonly findings: Findings) {}

  /** `==` and `===`. */
  equal(a: Term, b: Term, isStrict: boolean, place: Place): Formula {
    if (a.kind === "constant" && b.kind === "constant") {
      return constantFormula((isStrict ? strictlyEqual : looselyEqual)(a.value, b.value));
    }
    if (a.kind === "constant") return this.equal(b, a, isStrict, place);
    if (b.kind !== "constant") return this.#refuseBoth(place);
    if (a.kind === "timestamp") return equalTimestamp(isStrict && typeof b.value !== "number" ? Number.NaN : b.value);
    if (a.kind === "attribute") return this.#attributeEquals(a, b.value, isStrict, place);
    return this.#refuseBoth(place);
  }

  #attributeEquals(attribute: Attribute, value: JsonValue, isStrict: boolean, place: Place): Formula {
    if (value === null) return missing(attribute);
    if (typeof value === "object") return this.#refuseLiteral(value, place);
    if (isStrict) return isIn(attribute.name, [value]);
    if (typeof value === "number") this.findings.warn(place, NUMERIC_TEXT_WARNING);
    if (typeof value !== "string" && toNumber(value) === 0 && !attribute.isPresent) {
      this.findings.warn(place, MISSING_IS_FALSE_WARNING);
    }
    return isIn(attribute.name, looseEquals(value));
  }

  /** `<`, `<=`, `>`, `>=`. */
  order(operator: OrderOperator, a: Term, b: Term, place: Place): Formula {
    if (a.kind === "constant" && b.kind === "constant") return constantFormula(ordered(operator, a.value, b.value));
    if (a.kind === "constant") return this.order(MIRRORED[operator], b, a, place);
    if (b.kind !== "constant") return this.#refuseBoth(place);
    if (a.kind === "timestamp") return orderTimestamp(operator, toNumber(b.value));
    if (a.kind === "attribute") return this.#attributeOrder(operator, a, b.value, place);
    return this.#refuseBoth(place);
  }

  #attributeOrder(operator: OrderOperator, attribute: Attribute, value: JsonValue, place: Place): Formula {
    if (typeof value === "string") {
      this.findings.refuse(
        place,
        `orders text (${quote(value)}), which a condition cannot do; only numbers have an order`,
      );
      return NEVER;
    }
    if (value === null || typeof value === "object") return this.#refuseLiteral(value, place);
    const limit = toNumber(value);
    this.findings.warn(place, NUMERIC_TEXT_WARNING);
    const coerced = [true, false, ""].filter((other) => ordered(operator, other, limit));
    return any(
      match(attribute.name, ORDER_OPERATORS[operator], [limit]),
      coerced.length === 0 ? NEVER : isIn(attribute.name, coerced),
      ordered(operator, null, limit) ? missing(attribute) : NEVER,
    );
  }

  /** `in`: an element of a list, or a part of a text. */
  contained(needle: Term, haystack: Term, place: Place): Formula {
    if (haystack.kind === "attribute") {
      if (needle.kind === "constant") return this.#inAttribute(needle.value, haystack.name, place);
      return this.#refuseBoth(place);
    }
    if (haystack.kind !== "constant") return this.#refuseBoth(place);
    const { value } = haystack;
    if (Array.isArray(value)) return this.#inList(needle, value, place);
    if (typeof value !== "string") return NEVER;
    if (needle.kind === "constant") {
      return constantFormula(typeof needle.value === "string" && value.includes(needle.value));
    }
    this.findings.refuse(place, `looks an attribute up in the text ${quote(value)}; write its parts as a list`);
    return NEVER;
  }

  #inList(needle: Term, list: readonly JsonValue[], place: Place): Formula {
    const literals: Literal[] = [];
    for (const [index, element] of list.entries()) {
      if (element !== null && typeof element === "object") return this.#refuseLiteral(element, place.element(index));
      if (element !== null) literals.push(element);
    }
    if (needle.kind === "constant")
      return constantFormula(list.some((element) => strictlyEqual(element, needle.value)));
    if (needle.kind !== "attribute") return this.#refuseBoth(place);
    if (list.some((e) => typeof e === "string" && e !== "" && !Number.isNaN(toNumber(e)))) {
      this.findings.warn(place, NUMERIC_LIST_WARNING);
    }
    return any(
      literals.length === 0 ? NEVER : isIn(needle.name, literals),
      list.includes(null) ? missing(needle) : NEVER,
    );
  }

  // Text that contains it, or a list with that very element: a list ["superadmin"] does not contain "admin".
  #inAttribute(needle: JsonValue, attribute: string, place: Place): Formula {
    if (typeof needle === "string") {
      const contains = match(attribute, Operator.CONTAINS, [needle]);
      if (attribute === TARGETING_KEY) return contains;
      return any(isIn(attribute, [needle]), all(contains, isHashable(attribute)));
    }
    if (typeof needle === "boolean" || Number.isSafeInteger(needle)) {
      return all(isIn(attribute, [needle as Literal]), not(isHashable(attribute)));
    }
    return this.#refuseLiteral(needle, place);
  }

  /** Whether something counts as true. */
  truthy(term: Term, place: Place): Formula {
    switch (term.kind) {
      case "constant":
        return constantFormula(isTruthy(term.value));
      case "timestamp":
        return ALWAYS;
      case "attribute":
        return this.#truthyAttribute(term.name, place);
      case "split":
        return this.#refuseBoth(place);
    }
  }

  // A match looks at the elements of a list, so a list with a true element holds and an empty one does not, as in flagd.
  #truthyAttribute(attribute: string, place: Place): Formula {
    if (attribute === TARGETING_KEY) return exists(attribute);
    this.findings.warn(
      place,
      `in flagd an object that is not empty, or a list of nothing but falsy elements, counts as true; here ${quote(attribute)} then counts as false`,
    );
    return any(
      isIn(attribute, [true]),
      match(attribute, Operator.LESS, [0]),
      match(attribute, Operator.GREATER, [0]),
      match(attribute, Operator.MATCHES, [SOME_TEXT]),
    );
  }

  #refuseBoth(place: Place): Formula {
    this.findings.refuse(
      place,
      "compares two values of the context with each other; a condition compares an attribute with constants",
    );
    return NEVER;
  }

  #refuseLiteral(value: JsonValue, place: Place): Formula {
    this.findings.refuse(
      place,
      `compares an attribute with ${quote(value)}; a condition compares with text, numbers and booleans`,
    );
    return NEVER;
  }
}

function missing(attribute: Attribute): Formula {
  return attribute.isPresent ? NEVER : not(exists(attribute.name));
}

/** A value and the other values that flagd takes for equal, except for other spellings of a number in text. */
function looseEquals(value: Literal): readonly Literal[] {
  const number = toNumber(value);
  if (Number.isNaN(number)) return [value];
  const others: Literal[] = [number];
  if (number === 0) others.push(false);
  if (number === 1) others.push(true);
  if (typeof value !== "string") others.push(String(number));
  if (typeof value !== "string" && number === 0) others.push("");
  return [value, ...others.filter((other) => other !== value)];
}

// In Go, `<=` is less or equal, and null, which counts as 0 for less, equals nothing: so null <= 0 is false.
function ordered(operator: OrderOperator, a: JsonValue, b: JsonValue): boolean {
  switch (operator) {
    case "<":
      return isLess(a, b);
    case "<=":
      return isLess(a, b) || looselyEqual(a, b);
    case ">":
      return isLess(b, a);
    case ">=":
      return isLess(b, a) || looselyEqual(a, b);
  }
}

const NOW = "$now";
const SECOND_MS = 1_000;

// flagd's timestamp is floor(now / 1000). It is compared with any number by comparing the milliseconds with the first
// whole second that is (not) below it.
function orderTimestamp(operator: OrderOperator, seconds: number): Formula {
  if (Number.isNaN(seconds)) return NEVER;
  switch (operator) {
    case "<":
      return match(NOW, Operator.LESS, [Math.ceil(seconds) * SECOND_MS]);
    case "<=":
      return match(NOW, Operator.LESS, [(Math.floor(seconds) + 1) * SECOND_MS]);
    case ">":
      return match(NOW, Operator.GREATER_OR_EQUAL, [(Math.floor(seconds) + 1) * SECOND_MS]);
    case ">=":
      return match(NOW, Operator.GREATER_OR_EQUAL, [Math.ceil(seconds) * SECOND_MS]);
  }
}

function equalTimestamp(value: JsonValue): Formula {
  const seconds = value === null ? Number.NaN : toNumber(value);
  return Number.isInteger(seconds) ? all(orderTimestamp(">=", seconds), orderTimestamp("<=", seconds)) : NEVER;
}
