import { Buffer } from "node:buffer";
import { type Context, targetingKey } from "../../engine/index.js";

/** Of a context that is kept, as JSON; see Environment.keep_contexts. */
const MAX_BYTES = 4_096;

/** A context as JSON. Undefined for one that is too large to be kept. */
export function toContextText(context: Context): string | undefined {
  const text = JSON.stringify(context);
  return text.length > MAX_BYTES || Buffer.byteLength(text) > MAX_BYTES ? undefined : text;
}

export function fromContextText(text: string): Context {
  return JSON.parse(text) as Context;
}

/** The same for contexts that are alike: of one subject; of those without a targeting key, such that hold the same. */
export function likenessOf(context: Context, text: string): string {
  const key = targetingKey(context);
  return key === undefined ? text : JSON.stringify(key);
}
