import type { JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "./json.js";

// These can be null, and some releases of flagd's Go daemon take a null inside `and` for true.
const NULLABLE = ["starts_with", "ends_with", "sem_ver", "fractional"];

/** JsonLogic that is true if every one is. */
export function allOf(tests: readonly JsonValue[]): JsonValue {
  const parts: JsonValue[] = [];
  for (const test of tests) {
    if (test === false) return false;
    if (test === true) continue;
    if (isJsonObject(test) && Array.isArray(test.and)) parts.push(...test.and);
    else parts.push(isNullable(test) ? { "!!": [test] } : test);
  }
  const [only] = parts;
  if (only === undefined) return true;
  return parts.length === 1 ? only : { and: parts };
}

/** JsonLogic that is true if at least one is. */
export function anyOf(tests: readonly JsonValue[]): JsonValue {
  const parts: JsonValue[] = [];
  for (const test of tests) {
    if (test === true) return true;
    if (test === false) continue;
    if (isJsonObject(test) && Array.isArray(test.or)) parts.push(...test.or);
    else parts.push(test);
  }
  const [only] = parts;
  if (only === undefined) return false;
  return parts.length === 1 ? only : { or: parts };
}

/** JsonLogic that is true if the other is not. */
export function noneOf(test: JsonValue): JsonValue {
  return typeof test === "boolean" ? !test : { "!": [test] };
}

function isNullable(test: JsonValue): boolean {
  if (!isJsonObject(test)) return false;
  // An `or` that does not hold is its last part.
  if (Array.isArray(test.or)) return test.or.some(isNullable);
  return NULLABLE.some((operator) => Object.hasOwn(test, operator));
}
