import { create } from "@bufbuild/protobuf";
import { NullValue, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { toJsonLevel } from "../attribute.js";

/** How much of a value a trace shows. */
const MAX_TEXT_LENGTH = 200;
/** Values, of a match or in a value. */
export const MAX_VALUES = 20;
const MAX_DEPTH = 4;
const CUT = "…";

/**
 * A value as a trace shows it: cut where it is long or deep, and where it holds more than 20 values. Undefined for what JSON
 * cannot hold.
 */
export function toTraceValue(value: unknown): Value | undefined {
  return new TraceValue().of(value, 0);
}

/** Well-formed text of a length that a person reads. */
export function clipText(value: string): string {
  const clipped = value.length > MAX_TEXT_LENGTH ? `${value.slice(0, MAX_TEXT_LENGTH - 1)}${CUT}` : value;
  // Half a surrogate pair cannot be sent; the cut may have made one.
  return clipped.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

/** One value on its way into a trace. */
class TraceValue {
  #left = MAX_VALUES;

  of(value: unknown, depth: number): Value | undefined {
    const level = toJsonLevel(value);
    switch (typeof level) {
      case "string":
        return text(clipText(level));
      case "number":
        return create(ValueSchema, { kind: { case: "numberValue", value: level } });
      case "boolean":
        return create(ValueSchema, { kind: { case: "boolValue", value: level } });
      case "undefined":
        return undefined;
      default:
        if (level === null) return nullValue();
        if (depth >= MAX_DEPTH) return text(CUT);
        return Array.isArray(level) ? this.#list(level, depth + 1) : this.#struct(level, depth + 1);
    }
  }

  #list(elements: readonly unknown[], depth: number): Value {
    const values: Value[] = [];
    for (const element of elements) {
      if (--this.#left < 0) {
        values.push(text(CUT));
        break;
      }
      values.push(this.of(element, depth) ?? nullValue());
    }
    return create(ValueSchema, { kind: { case: "listValue", value: { values } } });
  }

  #struct(object: object, depth: number): Value {
    const fields: Record<string, Value> = {};
    for (const [name, member] of Object.entries(object)) {
      if (--this.#left < 0) {
        define(fields, CUT, text(CUT));
        break;
      }
      const value = this.of(member, depth);
      if (value !== undefined) define(fields, clipText(name), value);
    }
    return create(ValueSchema, { kind: { case: "structValue", value: { fields } } });
  }
}

// Defined, not assigned: a name may be `__proto__`.
function define(fields: Record<string, Value>, name: string, value: Value): void {
  Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
}

function text(value: string): Value {
  return create(ValueSchema, { kind: { case: "stringValue", value } });
}

function nullValue(): Value {
  return create(ValueSchema, { kind: { case: "nullValue", value: NullValue.NULL_VALUE } });
}
