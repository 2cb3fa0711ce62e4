import type { Context } from "./context.js";

/** Reads one attribute, in the form that operators compare; undefined where it is missing, null or not JSON. */
export type ReadAttribute = (context: Context, now: number) => AttributeValue | undefined;

/** An attribute as operators see it. */
export type AttributeValue = string | number | boolean | readonly unknown[] | object;

/** The attribute that is the time of the evaluation. */
export const NOW_ATTRIBUTE = "$now";

/**
 * Compiles access to an attribute: an exact key or, if there is none, a path through nested objects. Only own properties
 * count, so that `constructor` is missing unless somebody set it.
 */
export function compileAttribute(name: string): ReadAttribute {
  if (name === "targetingKey") return targetingKey;
  if (name === NOW_ATTRIBUTE) return (_context, now) => now;
  const readExact = compileExact(name);
  if (!name.includes(".")) return readExact;
  const path = name.split(".");
  return (context) => (Object.hasOwn(context, name) ? toAttributeValue(context[name]) : walk(context, path));
}

/** The targeting key; a missing, empty or non-text one is none. */
export function targetingKey(context: Context): string | undefined {
  const key: unknown = context.targetingKey;
  return typeof key === "string" && key !== "" ? key : undefined;
}

/** A value as operators compare it; undefined for null and for all that JSON cannot hold. */
export function toAttributeValue(value: unknown): AttributeValue | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    case "object":
      if (value === null) return undefined;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
      return value;
    default:
      return undefined;
  }
}

// A name that no object inherits can be read without asking whether it is the context's own.
function compileExact(name: string): ReadAttribute {
  if (name in Object.prototype) {
    return (context) => (Object.hasOwn(context, name) ? toAttributeValue(context[name]) : undefined);
  }
  return (context) => toAttributeValue(context[name]);
}

function walk(context: Context, path: readonly string[]): AttributeValue | undefined {
  let value: unknown = context;
  for (const step of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return toAttributeValue(value);
}
