import type { Readable } from "node:stream";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { ContextSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { isJsonObject } from "../base/index.js";
import { usageFailure } from "./failure.js";
import { readInput } from "./read-input.js";

const example = `'{"targetingKey":"user-1","country":"NO"}'`;

/** Reads a flat context: a JSON object with `targetingKey` among its attributes. `what` names it in a complaint. */
export function parseContext(text: string, what = "--context"): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw usageFailure(`${what} is not JSON (${(error as Error).message}); give an object such as ${example}`);
  }
  if (!isJsonObject(json)) throw usageFailure(`${what} is not a JSON object; give one such as ${example}`);
  if (json.targetingKey !== undefined && typeof json.targetingKey !== "string") {
    throw usageFailure(`${what} has a targetingKey that is not a string; put it in quotes, such as ${example}`);
  }
  return json;
}

/** Reads the option's value: JSON, or `@FILE` that holds it, or `@-` for standard input. */
export async function readContext(option: string | undefined, stdin: Readable): Promise<JsonObject> {
  if (option === undefined) return {};
  if (!option.startsWith("@")) return parseContext(option);
  const path = option.slice(1);
  const content = await readInput(path, stdin, "--context file");
  return parseContext(content, path === "-" ? "--context from standard input" : `--context file ${path}`);
}

/** The context as a request carries it. */
export function toContextMessage(context: JsonObject, targetingKey?: string): MessageInitShape<typeof ContextSchema> {
  const { targetingKey: own, ...attributes } = context;
  if (targetingKey !== undefined) return { targetingKey, attributes };
  return typeof own === "string" ? { targetingKey: own, attributes } : { attributes: context };
}
