import { isUtf8 } from "node:buffer";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Context } from "../../engine/index.js";
import { toContext } from "../context.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";

const EMPTY: Context = Object.freeze({});
const NOT_JSON = new Refusal(
  "INVALID_ARGUMENT",
  "PARSE_ERROR",
  'the body is not a JSON object; send one such as {"context":{"targetingKey":"user-7"}}',
);
const NOT_AN_OBJECT = new Refusal("INVALID_ARGUMENT", "INVALID_CONTEXT", "context: is not an object");

/** The context in the body of a request, as Evaluate takes it; an empty one where there is none. */
export function readContext(body: Buffer): OrRefusal<Context> {
  if (body.byteLength === 0) return EMPTY;
  const request = parse(body);
  if (!isObject(request)) return NOT_JSON;
  const { context } = request;
  if (context === undefined || context === null) return EMPTY;
  if (!isObject(context)) return NOT_AN_OBJECT;
  const read = toContext({
    $typeName: "flagwire.v1.Context",
    targetingKey: "",
    attributes: context,
    privateAttributes: [],
  });
  if (!isRefusal(read)) return read;
  // Here the attributes are the context.
  return new Refusal(read.code, "INVALID_CONTEXT", read.message.replace(/^context\.attributes/, "context"));
}

function parse(body: Buffer): JsonValue | undefined {
  try {
    return isUtf8(body) ? (JSON.parse(body.toString("utf8")) as JsonValue) : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
