import type { JsonValue, Outcome } from "../engine/index.js";
import { rememberBetween } from "./state/remember-between.js";

/** Whether two outcomes of one flag are the same answer. A flag that was compiled anew has others, which often are. */
export function isSameOutcome(before: Outcome, after: Outcome): boolean {
  if (before === after) return true;
  return (
    before.reason === after.reason &&
    before.variant === after.variant &&
    before.ruleId === after.ruleId &&
    before.prerequisiteKey === after.prerequisiteKey &&
    before.errorCode === after.errorCode &&
    before.errorMessage === after.errorMessage &&
    isSameJson(before.value, after.value) &&
    isSameJson(before.metadata, after.metadata)
  );
}

/** Many streams are told of the same change, and a value may be large. */
const isSameObject = rememberBetween((before: JsonObject, after: JsonObject): boolean => isDeeplySame(before, after));

function isSameJson(before: JsonValue | undefined, after: JsonValue | undefined): boolean {
  return isObject(before) && isObject(after) ? isSameObject(before, after) : before === after;
}

type JsonObject = Extract<JsonValue, object>;

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null;
}

function isDeeplySame(before: JsonValue, after: JsonValue | undefined): boolean {
  if (!isObject(before) || !isObject(after)) return before === after;
  if (before === after) return true;
  if (Array.isArray(before) !== Array.isArray(after)) return false;
  const members = Object.entries<JsonValue>(before);
  if (members.length !== Object.keys(after).length) return false;
  for (const [name, member] of members) {
    // A member of one that the other lacks is null at least, and so not the same as nothing.
    if (!isDeeplySame(member, Object.hasOwn(after, name) ? (after as Record<string, JsonValue>)[name] : undefined)) {
      return false;
    }
  }
  return true;
}
