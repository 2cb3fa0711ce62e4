import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Context as ContextMessage, ContextSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Context, targetingKey, toJsonLevel } from "../engine/index.js";

/** How large a context may be that is made a message of. */
export interface ContextBounds {
  /** Levels of objects and lists in an attribute. */
  readonly maxDepth: number;
  /** Of a list. */
  readonly maxElements: number;
  /** Characters of names and texts, with one for each value. The JSON of what is within it may still be longer. */
  readonly maxSize: number;
}

/** It has an object that is too large by the number of its members alone. JavaScript lists them all, which takes long, to tell. */
export class TooManyMembers extends RangeError {}

/** Deeper than any server accepts. Bounds the walk through a context that contains itself. */
const ANY: ContextBounds = {
  maxDepth: 64,
  maxElements: Number.POSITIVE_INFINITY,
  maxSize: Number.POSITIVE_INFINITY,
};

/**
 * The context as a message, so that a server finds in it what the engine would find here: the context's own properties,
 * enumerable or not. What JSON cannot hold is as good as missing. Throws where reading the context does, and a RangeError beyond
 * the bounds, as soon as they are reached; where only a long list of names has told, TooManyMembers.
 */
export function toContextMessage(context: Context, bounds: ContextBounds = ANY): ContextMessage {
  const walk = new Walk(bounds);
  const attributes: JsonObject = {};
  for (const name of walk.within(Object.getOwnPropertyNames(context))) {
    if (name === "targetingKey") continue;
    const value = walk.member(name, context[name], 0);
    if (value !== undefined) define(attributes, name, value);
  }
  return create(ContextSchema, { targetingKey: targetingKey(context) ?? "", attributes });
}

class Walk {
  readonly #bounds: ContextBounds;
  #leftSize: number;

  constructor(bounds: ContextBounds) {
    this.#bounds = bounds;
    this.#leftSize = bounds.maxSize;
  }

  member(name: string, value: unknown, depth: number): JsonValue | undefined {
    this.#spend(name.length);
    return this.#toJson(value, depth);
  }

  /** The names of an object's members, unless there are too many for them alone. */
  within(names: readonly string[]): readonly string[] {
    if (names.length > this.#bounds.maxSize) throw new TooManyMembers("the context is too large");
    return names;
  }

  #toJson(value: unknown, depth: number): JsonValue | undefined {
    // Listed, or made JSON of, a byte takes more than its place.
    if (ArrayBuffer.isView(value)) this.#spend(value.byteLength);
    const level = toJsonLevel(value);
    this.#spend(typeof level === "string" ? level.length + 1 : 1);
    if (typeof level !== "object" || level === null) return level;
    if (depth >= this.#bounds.maxDepth) throw new RangeError("the context is nested too deep");
    return Array.isArray(level) ? this.#toList(level, depth + 1) : this.#toObject(level, depth + 1);
  }

  // Not `map`, which leaves the holes of a sparse list.
  #toList(elements: readonly unknown[], depth: number): JsonValue[] {
    if (elements.length > this.#bounds.maxElements) throw new RangeError("a list of the context is too long");
    const list: JsonValue[] = [];
    for (const element of elements) list.push(this.#toJson(element, depth) ?? null);
    return list;
  }

  #toObject(value: object, depth: number): JsonObject {
    const object: JsonObject = {};
    for (const name of this.within(Object.keys(value))) {
      const json = this.member(name, (value as Readonly<Record<string, unknown>>)[name], depth);
      if (json !== undefined) define(object, name, json);
    }
    return object;
  }

  #spend(size: number): void {
    this.#leftSize -= size;
    if (this.#leftSize < 0) throw new RangeError("the context is too large");
  }
}

// Defined, not assigned: a name may be `__proto__`.
function define(object: JsonObject, name: string, value: JsonValue): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}
