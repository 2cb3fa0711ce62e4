import type { Value } from "@bufbuild/protobuf/wkt";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { JsonValue } from "./outcome.js";

/** A protobuf value as frozen JSON; undefined where it holds nothing or a number that JSON cannot hold. */
export function fromValue(value: Value): JsonValue | undefined {
  const { kind } = value;
  switch (kind.case) {
    case "nullValue":
      return null;
    case "boolValue":
    case "stringValue":
      return kind.value;
    case "numberValue":
      return Number.isFinite(kind.value) ? kind.value : undefined;
    case "structValue":
      return fromFields(kind.value.fields);
    case "listValue":
      return Object.freeze(kind.value.values.map((element) => fromValue(element) ?? null));
    case undefined:
      return undefined;
  }
}

// Defined, not assigned: a key may be `__proto__`.
function fromFields(fields: Readonly<Record<string, Value>>): JsonValue {
  const object: Record<string, JsonValue> = {};
  for (const [key, member] of Object.entries(fields)) {
    Object.defineProperty(object, key, { value: fromValue(member) ?? null, enumerable: true });
  }
  return Object.freeze(object);
}

/** Freezes a JSON value all the way down, so that no caller can change what another is answered. */
export function freezeJson(value: JsonValue): JsonValue {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    for (const member of Object.values(value)) freezeJson(member);
    Object.freeze(value);
  }
  return value;
}

/** Whether a value is of a flag's type. */
export function hasFlagType(value: JsonValue, type: FlagType): boolean {
  switch (type) {
    case FlagType.BOOLEAN:
      return typeof value === "boolean";
    case FlagType.STRING:
      return typeof value === "string";
    case FlagType.NUMBER:
      return typeof value === "number";
    case FlagType.OBJECT:
      return typeof value === "object" && value !== null && !Array.isArray(value);
    default:
      return false;
  }
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [FlagType.BOOLEAN]: "boolean",
  [FlagType.STRING]: "string",
  [FlagType.NUMBER]: "number",
  [FlagType.OBJECT]: "object",
};

/** A type's name in messages; undefined for one that this version does not know. */
export function flagTypeName(type: FlagType): string | undefined {
  return TYPE_NAMES[type];
}
