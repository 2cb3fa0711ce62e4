import type { JsonValue } from "@bufbuild/protobuf";

// JsonLogic's coercions between constants, as flagd's Go daemon (diegoholiveira/jsonlogic v3) applies them.

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A value as a number: null and blank text are 0; NaN for other text, lists and objects. */
export function toNumber(value: JsonValue): number {
  if (value === null) return 0;
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "string") return Number.NaN;
  if (value.trim() === "") return 0;
  return DECIMAL.test(value) ? Number(value) : Number.NaN;
}

/** `==`. Null equals null only; two texts are compared as text, everything else as numbers. */
export function looselyEqual(a: JsonValue, b: JsonValue): boolean {
  if (a === null || b === null) return a === b;
  if (typeof a === "string" && typeof b === "string") return a === b;
  return toNumber(a) === toNumber(b);
}

/** `===`. A list or object equals nothing. */
export function strictlyEqual(a: JsonValue, b: JsonValue): boolean {
  return a === b && (a === null || typeof a !== "object");
}

/** `<`. Two texts are compared as text, everything else as numbers. */
export function isLess(a: JsonValue, b: JsonValue): boolean {
  if (typeof a === "string" && typeof b === "string") return a < b;
  return toNumber(a) < toNumber(b);
}

/** Whether a value counts as true in a condition. */
export function isTruthy(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value);
  return Object.keys(value).length > 0;
}
