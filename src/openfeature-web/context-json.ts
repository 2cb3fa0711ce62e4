import type { EvaluationContext } from "@openfeature/web-sdk";
import { isRecord, textOf } from "./json.js";

/** A context as it travels. */
export interface ContextJson {
  readonly targetingKey: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * The context in JSON, its members sorted by name, so that equal contexts are equal texts. Dates are texts then; what JSON
 * cannot hold is left out. Throws for one that contains itself, or a bigint.
 */
export function toContextJson(context: EvaluationContext): ContextJson {
  const json: unknown = sorted(JSON.parse(JSON.stringify(context)));
  const { targetingKey: _, ...attributes } = isRecord(json) ? json : {};
  // As a class may have it, which JSON leaves out; and as it is compared with when flags are asked for.
  return { targetingKey: textOf(context.targetingKey), attributes };
}

function sorted(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sorted);
  if (!isRecord(json)) return json;
  const members = Object.entries(json).map(([name, member]) => [name, sorted(member)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}
