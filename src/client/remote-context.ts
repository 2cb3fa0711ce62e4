import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Context as ContextMessage, ContextSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Context, targetingKey, toJsonLevel } from "../engine/index.js";

/**
 * The context as a message, so that a server finds in it what the engine would find here: the context's own properties,
 * enumerable or not. What JSON cannot hold is as good as missing. Throws where reading the context does.
 */
export function toContextMessage(context: Context): ContextMessage {
  const attributes: JsonObject = {};
  for (const name of Object.getOwnPropertyNames(context)) {
    if (name === "targetingKey") continue;
    const value = toJson(context[name], 0);
    if (value !== undefined) define(attributes, name, value);
  }
  return create(ContextSchema, { targetingKey: targetingKey(context) ?? "", attributes });
}

/** Deeper than any server accepts. Bounds the walk through a context that contains itself. */
const MAX_DEPTH = 64;

function toJson(value: unknown, depth: number): JsonValue | undefined {
  const level = toJsonLevel(value);
  if (typeof level !== "object" || level === null) return level;
  if (depth >= MAX_DEPTH) throw new RangeError("the context is nested too deep");
  return Array.isArray(level) ? toList(level, depth + 1) : toObject(level, depth + 1);
}

// Not `map`, which leaves the holes of a sparse list.
function toList(elements: readonly unknown[], depth: number): JsonValue[] {
  const list: JsonValue[] = [];
  for (const element of elements) list.push(toJson(element, depth) ?? null);
  return list;
}

function toObject(value: object, depth: number): JsonObject {
  const object: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const json = toJson(member, depth);
    if (json !== undefined) define(object, name, json);
  }
  return object;
}

// Defined, not assigned: a name may be `__proto__`.
function define(object: JsonObject, name: string, value: JsonValue): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}
