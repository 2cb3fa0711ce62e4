import type { JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "../base/index.js";
import { usageFailure } from "./failure.js";

export type TypeName = "boolean" | "string" | "number" | "object";

/** Reads `name=value` variants, each value by the flag's type. Without a type they are taken as text: the server asks for it. */
export function parseVariants(texts: readonly string[], type: TypeName | undefined): ReadonlyMap<string, JsonValue> {
  const variants = new Map<string, JsonValue>();
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) throw usageFailure(`--variant ${JSON.stringify(text)} is not NAME=VALUE, such as on=true`);
    const name = text.slice(0, at);
    if (variants.has(name)) throw usageFailure(`--variant ${JSON.stringify(name)} is given twice`);
    variants.set(name, parseValue(name, text.slice(at + 1), type));
  }
  return variants;
}

function parseValue(name: string, text: string, type: TypeName | undefined): JsonValue {
  const wrong = (wanted: string) =>
    usageFailure(`--variant ${name}: ${JSON.stringify(text)} is not ${wanted}, which --type ${type} needs`);
  switch (type) {
    case "boolean":
      if (text !== "true" && text !== "false") throw wrong("true or false");
      return text === "true";
    case "number": {
      const value = parseJson(text);
      if (typeof value !== "number" || !Number.isFinite(value)) throw wrong("a number");
      return value;
    }
    case "object": {
      const value = parseJson(text);
      if (!isJsonObject(value)) throw wrong("a JSON object");
      return value;
    }
    default:
      return text;
  }
}

function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
