import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Context as ContextMessage } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Context } from "../engine/index.js";
import { invalidArgument } from "./environment.js";
import { contractLimits } from "./limits.js";
import type { FieldViolation, OrRefusal, Refusal } from "./refusal.js";
import { isEncodable, UNENCODABLE } from "./validate/encodable.js";

const EMPTY: Context = Object.freeze({});

const TOO_DEEP = `is nested more than ${contractLimits.contextDepth} levels deep`;
const LIST_TOO_LONG = `holds a list of more than ${contractLimits.contextListElements} elements`;
const TEXT_TOO_LONG = `is longer than ${contractLimits.contextTextLength} characters`;
const HOLDS_LONG_TEXT = `holds a string, or a list of strings, of more than ${contractLimits.contextTextLength} characters`;

/**
 * A request's context in the flat form that the engine reads. Refused where it is nested too deep, where a list or a string
 * is so long that the comparisons of one evaluation have no bound, and where it holds text that only JSON can carry.
 * `field`: where it stands in the request.
 */
export function toContext(message: ContextMessage | undefined, field = "context"): OrRefusal<Context> {
  if (message === undefined) return EMPTY;
  const { targetingKey, attributes, privateAttributes } = message;
  const refusal = privateAttributes.length === 0 ? undefined : refusePrivateAttributes(privateAttributes, field);
  if (refusal !== undefined) return refusal;
  if (targetingKey.length > contractLimits.contextTextLength) {
    return invalidArgument([{ field: `${field}.targeting_key`, description: TEXT_TOO_LONG }]);
  }
  if (attributes === undefined) return targetingKey === "" ? EMPTY : { targetingKey };
  for (const [name, value] of Object.entries(attributes)) {
    const description = isEncodable(name) ? findProblem(value, contractLimits.contextDepth - 1) : UNENCODABLE;
    if (description !== undefined) {
      return invalidArgument([{ field: `${field}.attributes[${JSON.stringify(name)}]`, description }]);
    }
  }
  // Our own copy could drop a key `__proto__`; the decoded message is nobody else's, so it can be completed in place.
  if (targetingKey !== "") attributes.targetingKey = targetingKey;
  return attributes as Context;
}

function refusePrivateAttributes(names: readonly string[], place: string): Refusal | undefined {
  const { privateAttributes: most, attributeLength } = contractLimits;
  if (names.length > most) {
    const description = `has ${names.length} entries; ${most} is the limit`;
    return invalidArgument([{ field: `${place}.private_attributes`, description }]);
  }
  const violations: FieldViolation[] = [];
  for (const [index, name] of names.entries()) {
    const field = `${place}.private_attributes[${index}]`;
    if (name === "") violations.push({ field, description: "is empty" });
    else if (name.length > attributeLength) {
      violations.push({ field, description: `is longer than ${attributeLength} characters` });
    }
  }
  return violations.length === 0 ? undefined : invalidArgument(violations);
}

/** What is wrong with an attribute that may have so many levels, if anything. */
function findProblem(value: JsonValue, levels: number): string | undefined {
  if (typeof value === "string") {
    if (value.length > contractLimits.contextTextLength) return TEXT_TOO_LONG;
    return isEncodable(value) ? undefined : UNENCODABLE;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (levels === 0) return TOO_DEEP;
  return Array.isArray(value) ? findInList(value, levels) : findInObject(value, levels);
}

function findInList(elements: readonly JsonValue[], levels: number): string | undefined {
  if (elements.length > contractLimits.contextListElements) return LIST_TOO_LONG;
  let textLength = 0;
  for (const element of elements) {
    const problem = findProblem(element, levels - 1);
    if (problem !== undefined) return problem;
    if (typeof element === "string") textLength += element.length;
  }
  return textLength > contractLimits.contextTextLength ? HOLDS_LONG_TEXT : undefined;
}

function findInObject(object: JsonObject, levels: number): string | undefined {
  for (const [key, member] of Object.entries(object)) {
    // The type of a JSON object has members that may be undefined.
    const problem = isEncodable(key) ? member !== undefined && findProblem(member, levels - 1) : UNENCODABLE;
    if (problem) return problem;
  }
  return undefined;
}
