import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** Whether a value is a JSON object: neither null nor a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in messages: as JSON, cut short; lists and objects by name. */
export function quote(value: unknown): string {
  // Not stringified as a whole: it may be nested deeper than the stack allows.
  if (Array.isArray(value)) return value.length === 0 ? "[]" : "a list";
  if (isJsonObject(value)) return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** A property that the object itself has; undefined otherwise, and for what only its prototype has. */
export function ownMember(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
