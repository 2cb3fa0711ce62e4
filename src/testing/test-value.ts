import type { JsonValue } from "../client/index.js";

/** A value that a flag can have. */
export type TestValue = boolean | string | number | { readonly [key: string]: JsonValue };

/** Names a variant where a value is expected. Made by `variant`. */
export class VariantName {
  constructor(readonly name: string) {}
}

/** The variants of a flag. Made by `variants`. */
export class VariantValues {
  constructor(
    readonly values: Readonly<Record<string, TestValue>>,
    readonly served: string,
  ) {}
}

/** A variant of a flag by its name, where a value is expected: a string alone is a value. */
export function variant(name: string): VariantName {
  return new VariantName(name);
}

/** A flag of several variants, of which it serves one, the first by default. Throws a `TypeError` where it has no such one. */
export function variants(values: Readonly<Record<string, TestValue>>, served?: string): VariantValues {
  const name = served ?? Object.keys(values)[0];
  if (name === undefined) throw new TypeError("a flag has at least one variant");
  if (!Object.hasOwn(values, name)) {
    throw new TypeError(`there is no variant ${JSON.stringify(name)} among ${Object.keys(values).join(", ")}`);
  }
  return new VariantValues({ ...values }, name);
}

/** What a value is, in messages; undefined where no flag can have it. */
export function typeNameOf(value: unknown): "boolean" | "string" | "number" | "object" | undefined {
  switch (typeof value) {
    case "boolean":
      return "boolean";
    case "string":
      return "string";
    case "number":
      return Number.isFinite(value) ? "number" : undefined;
    default:
      return isPlainObject(value) && Object.values(value).every(isJson) ? "object" : undefined;
  }
}

/** A value as a message shows it, in short. */
export function shownValue(value: unknown): string {
  const text =
    typeof value === "function"
      ? "a function"
      : typeof value === "bigint"
        ? `${value}n`
        : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function isJson(value: unknown): boolean {
  if (value === null || typeNameOf(value) !== undefined) return true;
  return Array.isArray(value) && value.every(isJson);
}

/** Whether it was written as an object, or parsed as one. */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm too, such as that of a runner which gives each test file its own.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
