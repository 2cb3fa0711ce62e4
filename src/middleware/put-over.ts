import type { Context } from "../client/index.js";

/**
 * A context put over another one, attribute by attribute. Each is read where it is when it is asked for, so that one that throws
 * harms only the flags that ask for it; where not even the names can be read, those are all flags that ask for any.
 */
export function putOver(own: Context, over: Context): Context {
  const both: Context = {};
  const define = (name: string, source: Context): void => {
    Object.defineProperty(both, name, { get: () => source[name], enumerable: true, configurable: true });
  };
  try {
    for (const name of Object.getOwnPropertyNames(own)) define(name, own);
    for (const name of Object.getOwnPropertyNames(over)) define(name, over);
    // Of all properties, this one counts where it is inherited.
    define("targetingKey", "targetingKey" in over ? over : own);
    return both;
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): Context {
  const refuse = (): never => {
    throw error;
  };
  return new Proxy({}, { get: refuse, has: refuse, getOwnPropertyDescriptor: refuse, ownKeys: refuse });
}
