import type { Value } from "@bufbuild/protobuf/wkt";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { engineLimits } from "./limits.js";
import type { JsonValue } from "./outcome.js";

/**
 * A protobuf value as frozen JSON. Undefined where it holds, at any level, nothing or a number that JSON cannot hold, or
 * where it is nested too deep.
 */
export function fromValue(value: Value, levels: number = engineLimits.valueDepth): JsonValue | undefined {
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
      return fromMembers(kind.value.fields, fromValue, levels);
    case "listValue":
      return fromElements(kind.value.values, fromValue, levels);
    case undefined:
      return undefined;
  }
}

/** A frozen copy, so that no caller can change what another is answered. Undefined where JSON cannot hold it. */
export function copyJson(value: unknown, levels: number = engineLimits.valueDepth): JsonValue | undefined {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return fromElements(value, copyJson, levels);
      return fromMembers(value as Readonly<Record<string, unknown>>, copyJson, levels);
    default:
      return undefined;
  }
}

type Convert<T> = (value: T, levels: number) => JsonValue | undefined;

function fromElements<T>(elements: readonly T[], convert: Convert<T>, levels: number): JsonValue | undefined {
  if (levels === 0) return undefined;
  const list: JsonValue[] = [];
  for (const element of elements) {
    const json = convert(element, levels - 1);
    if (json === undefined) return undefined;
    list.push(json);
  }
  return Object.freeze(list);
}

// Defined, not assigned: a key may be `__proto__`.
function fromMembers<T>(
  members: Readonly<Record<string, T>>,
  convert: Convert<T>,
  levels: number,
): JsonValue | undefined {
  if (levels === 0) return undefined;
  const object: Record<string, JsonValue> = {};
  for (const [key, member] of Object.entries(members)) {
    const value = convert(member, levels - 1);
    if (value === undefined) return undefined;
    Object.defineProperty(object, key, { value, enumerable: true });
  }
  return Object.freeze(object);
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
