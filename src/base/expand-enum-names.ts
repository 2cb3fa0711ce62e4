import type { DescEnum, DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "./json-object.js";

/** Something wrong in JSON, at a path such as `flags[3].type`. */
export interface JsonProblem {
  readonly place: string;
  readonly description: string;
}

/**
 * Walks JSON beside the message that it stands for and writes enum values out: `boolean` becomes `FLAG_TYPE_BOOLEAN`,
 * `semver-less` becomes `OPERATOR_SEMVER_LESS`. Fields and enum values that do not exist become problems. What has
 * another shape than the message is left for the decoder to refuse.
 */
export function expandEnumNames(desc: DescMessage, json: JsonValue, place: string, problems: JsonProblem[]): JsonValue {
  // Protobuf's own types have JSON forms of their own, and no enums.
  if (!isJsonObject(json) || desc.typeName.startsWith("google.protobuf.")) return json;
  const expanded: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(json)) {
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    const inner = place === "" ? name : `${place}.${name}`;
    if (field === undefined) {
      const known = desc.fields.map(({ jsonName }) => jsonName).join(", ");
      problems.push({ place: inner, description: `there is no such field; there are ${known}` });
    } else {
      define(expanded, name, expandField(field, value, inner, problems));
    }
  }
  return expanded;
}

function expandField(field: DescField, json: JsonValue, place: string, problems: JsonProblem[]): JsonValue {
  switch (field.fieldKind) {
    case "enum":
      return expandEnum(field.enum, json, place, problems);
    case "message":
      return expandEnumNames(field.message, json, place, problems);
    case "list":
      // A list of text may have a million of them, and there is nothing in it to expand.
      if (!Array.isArray(json) || field.listKind === "scalar") return json;
      return json.map((item, index) => expandElement(field, item, `${place}[${index}]`, problems));
    case "map": {
      if (!isJsonObject(json)) return json;
      const entries: Record<string, JsonValue> = {};
      for (const [key, item] of Object.entries(json)) {
        define(entries, key, expandElement(field, item, `${place}[${JSON.stringify(key)}]`, problems));
      }
      return entries;
    }
    case "scalar":
      return json;
  }
}

function expandElement(
  field: DescField & { fieldKind: "list" | "map" },
  json: JsonValue,
  place: string,
  problems: JsonProblem[],
): JsonValue {
  if (field.message !== undefined) return expandEnumNames(field.message, json, place, problems);
  if (field.enum !== undefined) return expandEnum(field.enum, json, place, problems);
  return json;
}

function expandEnum(desc: DescEnum, json: JsonValue, place: string, problems: JsonProblem[]): JsonValue {
  if (typeof json !== "string") return json;
  const prefix = (desc.sharedPrefix ?? "").toUpperCase();
  const wanted = json.toUpperCase().replaceAll("-", "_");
  const found = desc.values.find(({ name }) => name === json || name === wanted || name === `${prefix}${wanted}`);
  if (found !== undefined) return found.name;
  const names = desc.values
    .filter(({ number }) => number !== 0)
    .map(({ name }) => name.slice(prefix.length).toLowerCase());
  problems.push({ place, description: `${JSON.stringify(json)} is none of ${names.join(", ")}` });
  return json;
}

/** Plain assignment would lose a key named `__proto__`. */
function define(target: Record<string, JsonValue>, key: string, value: JsonValue): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
