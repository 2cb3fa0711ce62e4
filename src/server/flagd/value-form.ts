import type { JsonValue } from "../../engine/index.js";

/** What a method takes for a value. */
export interface ValueForm {
  /** In JavaScript's words, which for values of flags are ours too. */
  readonly type: "boolean" | "string" | "number" | "object";
  /** A value of the type as the field holds it; undefined where the field cannot. Default: as it is. */
  readonly convert?: (value: JsonValue) => unknown;
}

/** By the method's local name. */
export const valueForms: Readonly<Record<string, ValueForm>> = {
  resolveBoolean: { type: "boolean" },
  resolveString: { type: "string" },
  resolveFloat: { type: "number" },
  resolveInt: { type: "number", convert: toInt },
  resolveObject: { type: "object" },
};

/** Cut off after the point, as flagd does. Beyond 2^53 a number is no longer the one that was written. */
function toInt(value: JsonValue): bigint | undefined {
  const whole = Math.trunc(Number(value));
  return Number.isSafeInteger(whole) ? BigInt(whole) : undefined;
}
