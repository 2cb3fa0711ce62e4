import { targetingKey, toJsonLevel } from "../attribute.js";
import type { Context } from "../context.js";
import { isInside } from "./private-attributes.js";

/**
 * A context without private attributes, for whoever keeps or sends it. A name stands for an attribute of exactly this name,
 * for what its path leads to through objects, and for all that is inside of either; a list that a path leads into goes as a
 * whole. The same object where nothing of it is private; what is left of it is not copied.
 *
 * Throws only what a getter or `toJSON` of the context does.
 */
export function withoutPrivate(context: Context, names: readonly string[]): Context {
  if (names.length === 0) return context;
  const members = Object.getOwnPropertyNames(context);
  const inherits = !Object.hasOwn(context, "targetingKey") && targetingKey(context) !== undefined;
  return without(context, inherits ? [...members, "targetingKey"] : members, names) ?? context;
}

type Members = Readonly<Record<string, unknown>>;

/** Undefined: nothing of it is private. */
function without(object: Members, members: readonly string[], names: readonly string[]): Members | undefined {
  const kept: [string, unknown][] = [];
  let isCut = false;
  for (const member of members) {
    const value = object[member];
    const left = withoutInside(member, value, names);
    if (left !== value) isCut = true;
    // A function is nothing that JSON holds; one named `toJSON` could give back what was left out.
    if (left !== undefined && typeof left !== "function") kept.push([member, left]);
  }
  // Defines, and does not assign: a name may be `__proto__`.
  return isCut ? Object.fromEntries(kept) : undefined;
}

/** What is left of one member; undefined where all of it is private. */
function withoutInside(member: string, value: unknown, names: readonly string[]): unknown {
  const inside: string[] = [];
  for (const name of names) {
    if (name === member || isInside(member, name)) return undefined;
    if (isInside(name, member)) inside.push(name.slice(member.length + 1));
  }
  if (inside.length === 0) return value;
  const level = toJsonLevel(value);
  if (typeof level !== "object" || level === null) return value;
  return Array.isArray(level) ? undefined : (without(level as Members, Object.keys(level), inside) ?? value);
}
