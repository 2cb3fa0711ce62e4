import type { Context } from "./context.js";

/** Reads one attribute, in the form that operators compare; undefined where it is missing, null or not JSON. */
export type ReadAttribute = (context: Context, now: number) => AttributeValue | undefined;

/** An attribute as operators see it. */
export type AttributeValue = string | number | boolean | readonly unknown[] | object;

/** The attribute that is the time of the evaluation. */
export const NOW_ATTRIBUTE = "$now";

/**
 * Compiles access to an attribute: an exact key or, if there is none, a path through nested objects. Only a context's own
 * properties count, so that `constructor` is missing unless somebody set it; what JSON cannot hold is as good as missing,
 * so that an exact key of `undefined` does not hide a path.
 */
export function compileAttribute(name: string): ReadAttribute {
  if (name === "targetingKey") return targetingKey;
  if (name === NOW_ATTRIBUTE) return (_context, now) => now;
  if (!name.includes(".")) {
    return (context) => (Object.hasOwn(context, name) ? toAttributeValue(context[name]) : undefined);
  }
  const [first = "", ...rest] = name.split(".");
  return (context) => {
    const exact = Object.hasOwn(context, name) ? toJsonLevel(context[name]) : undefined;
    return exact === undefined ? walk(context, first, rest) : (exact ?? undefined);
  };
}

/** Whether an attribute is one own property of the context, read as it is: no path, and neither of the special names. */
export function isPlainName(name: string): boolean {
  return name !== "targetingKey" && name !== NOW_ATTRIBUTE && !name.includes(".");
}

/**
 * The targeting key; a missing, empty or non-text one is none. The one name that a context may inherit, such as from its
 * class: it is part of what a context is, and evaluations read it too often to ask whose it is.
 */
export function targetingKey(context: Context): string | undefined {
  const key: unknown = context.targetingKey;
  return typeof key === "string" && key !== "" ? key : undefined;
}

/** A value as operators compare it; undefined for null and for all that JSON cannot hold. */
export function toAttributeValue(value: unknown): AttributeValue | undefined {
  return toJsonLevel(value) ?? undefined;
}

/**
 * What `JSON.stringify` makes of a value, one level of it: a `Date` and whatever has a `toJSON` are what that returns, a
 * boxed primitive is its primitive, and any other object is its own enumerable members, each of which is to be converted
 * in turn. Undefined for what JSON cannot hold: unlike there, numbers that are not finite too, and `bigint` does not throw.
 *
 * Whoever evaluates here and whoever sends a context to be evaluated elsewhere must both go by this.
 */
export function toJsonLevel(value: unknown): AttributeValue | null | undefined {
  if (typeof value !== "object" || value === null) return toPrimitive(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  if (!("toJSON" in value) || typeof value.toJSON !== "function") return unbox(value);
  const json: unknown = value.toJSON();
  return typeof json === "object" && json !== null ? unbox(json) : toPrimitive(json);
}

function toPrimitive(value: unknown): string | number | boolean | null | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    default:
      return value === null ? null : undefined;
  }
}

function unbox(value: object): AttributeValue | undefined {
  if (value instanceof String || value instanceof Number || value instanceof Boolean) {
    return toPrimitive(value.valueOf()) ?? undefined;
  }
  return value;
}

function walk(context: Context, first: string, rest: readonly string[]): AttributeValue | undefined {
  let value = Object.hasOwn(context, first) ? toAttributeValue(context[first]) : undefined;
  for (const step of rest) {
    if (typeof value !== "object" || Array.isArray(value) || !isMember(value, step)) return undefined;
    value = toAttributeValue((value as Readonly<Record<string, unknown>>)[step]);
  }
  return value;
}

/** Whether JSON would name it: own and enumerable. */
function isMember(object: object, name: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(object, name);
}
