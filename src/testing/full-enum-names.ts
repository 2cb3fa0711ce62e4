import type { DescEnum, DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";

/**
 * JSON of a message with its enum values written out: `boolean` becomes `FLAG_TYPE_BOOLEAN`, as in the files that the
 * command line reads. What is no such value, or has another shape than the message, is left for the decoder to refuse.
 */
export function withFullEnumNames(desc: DescMessage, json: JsonValue): JsonValue {
  // Protobuf's own types have JSON forms of their own, and no enums.
  if (!isObject(json) || desc.typeName.startsWith("google.protobuf.")) return json;
  const entries = Object.entries(json).map(([name, value]) => {
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    return [name, field === undefined ? value : ofField(field, value)] as const;
  });
  return Object.fromEntries(entries);
}

function ofField(field: DescField, json: JsonValue): JsonValue {
  if (field.fieldKind === "list" && Array.isArray(json)) return json.map((item) => ofElement(field, item));
  if (field.fieldKind === "map" && isObject(json)) {
    return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, ofElement(field, item)]));
  }
  return ofElement(field, json);
}

function ofElement(field: DescField, json: JsonValue): JsonValue {
  if (field.message !== undefined) return withFullEnumNames(field.message, json);
  return field.enum === undefined ? json : fullName(field.enum, json);
}

function fullName(desc: DescEnum, json: JsonValue): JsonValue {
  if (typeof json !== "string") return json;
  const prefix = (desc.sharedPrefix ?? "").toUpperCase();
  const wanted = `${prefix}${json.toUpperCase().replaceAll("-", "_")}`;
  return desc.values.find(({ name }) => name === wanted)?.name ?? json;
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
