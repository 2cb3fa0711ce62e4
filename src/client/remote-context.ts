import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Context as ContextMessage, ContextSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Context } from "../engine/index.js";

/** The context as a message. What JSON cannot hold is as good as missing. Throws where reading the context does. */
export function toContextMessage(context: Context): ContextMessage {
  const { targetingKey } = context;
  const attributes: JsonObject = {};
  for (const name of Object.keys(context)) {
    if (name === "targetingKey") continue;
    const value = toJson(context[name], 0);
    if (value !== undefined) define(attributes, name, value);
  }
  return create(ContextSchema, { targetingKey: typeof targetingKey === "string" ? targetingKey : "", attributes });
}

/** Deeper than any server accepts. Bounds the walk through a context that contains itself. */
const MAX_DEPTH = 64;

function toJson(value: unknown, depth: number): JsonValue | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    case "object":
      if (value === null) return null;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
      if (depth >= MAX_DEPTH) throw new RangeError("the context is nested too deep");
      return Array.isArray(value) ? value.map((element) => toJson(element, depth + 1) ?? null) : toObject(value, depth);
    default:
      return undefined;
  }
}

function toObject(value: object, depth: number): JsonObject {
  const object: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const json = toJson(member, depth + 1);
    if (json !== undefined) define(object, name, json);
  }
  return object;
}

// Defined, not assigned: a name may be `__proto__`.
function define(object: JsonObject, name: string, value: JsonValue): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}
