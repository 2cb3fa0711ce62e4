import type { Context } from "../engine/index.js";

/**
 * What counts of a context: its own properties, read from it when they are asked for, and the targeting key wherever that
 * comes from. For contexts that cannot be read otherwise: the engine may read what is inherited before it asks whose it is.
 */
export function ownPart(context: Context): Context {
  const own: Context = Object.create(null);
  for (const name of new Set([...Object.getOwnPropertyNames(context), "targetingKey"])) {
    Object.defineProperty(own, name, { get: () => context[name], enumerable: true });
  }
  return own;
}
