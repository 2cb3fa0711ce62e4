import { parseDocument, type YAMLParseError } from "yaml";
import { usageFailure } from "../failure.js";
import { findDuplicateKey } from "./duplicate-key.js";

/**
 * The content of a file in JSON or YAML. JSON is read as such where the text starts like it, because that is a hundred
 * times faster; YAML is 1.2 with its core schema, so `on`, `off`, `no` and dates are text, and every key is text.
 */
export function parseText(text: string, name: string): unknown {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  if (name.endsWith(".json") || /^\s*[{[]/.test(body)) {
    const json = parseJson(body, name);
    if (json !== undefined) return json;
  }
  return parseYaml(body, name);
}

/** Undefined: not JSON, although it starts like it: YAML may, too. */
function parseJson(text: string, name: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (name.endsWith(".json")) throw usageFailure(`${name} is not JSON: ${(error as Error).message}`);
    return undefined;
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) {
    throw usageFailure(
      `${name} has the key ${JSON.stringify(twice.key)} twice in one object, again in line ${twice.line}`,
    );
  }
  return json;
}

function parseYaml(text: string, name: string): unknown {
  const document = parseDocument(text, {
    version: "1.2",
    schema: "core",
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: true,
  });
  if (document.errors.length > 0) throw explain(document.errors, text, name);
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw usageFailure(`${name} cannot be read as YAML: ${(error as Error).message}`);
  }
}

const maximumErrorsShown = 5;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const binary = /[\u0000-\u0008\u000e-\u001f\ufffd]/;

function explain(errors: readonly YAMLParseError[], text: string, name: string) {
  if (binary.test(text)) return usageFailure(`${name} is not text; a file of flags is YAML or JSON`);
  if (errors.some(({ code }) => code === "MULTIPLE_DOCS")) {
    return usageFailure(`${name} holds several YAML documents; make it one, or import them one after the other`);
  }
  const lines = errors
    .slice(0, maximumErrorsShown)
    .map((error) => error.message.split("\n")[0]?.replace(/:$/, "") ?? error.code);
  const twice = errors.every(({ code }) => code === "DUPLICATE_KEY");
  return usageFailure(twice ? `${name} has a key twice in one object` : `${name} is not YAML`, lines);
}
