import type { JsonObject } from "@bufbuild/protobuf";

/** Whether a value is a JSON object: neither null nor a list. */
export function isJsonObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
