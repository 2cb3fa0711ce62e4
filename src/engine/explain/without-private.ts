import { targetingKey, toJsonLevel } from "../attribute.js";
import type { Context } from "../context.js";

/**
 * A context without private attributes, for whoever keeps or sends it. A name stands for an attribute of exactly this name,
 * for what its path leads to through objects, and for all that is inside of either; a list that a path leads into goes as a
 * whole. The same object where nothing of it is private; what is left of it is not copied.
 *
 * It takes as long as the names and the context together: callers choose the size of both. Throws only what a getter or `toJSON` of
 * the context does.
 */
export function withoutPrivate(context: Context, names: readonly string[]): Context {
  if (names.length === 0) return context;
  const members = Object.getOwnPropertyNames(context);
  const inherits = !Object.hasOwn(context, "targetingKey") && targetingKey(context) !== undefined;
  return without(context, inherits ? [...members, "targetingKey"] : members, toPlace(names)) ?? context;
}

type Members = Readonly<Record<string, unknown>>;

/** Where the paths of some names lead, by their steps. */
interface Place {
  /** What stands here is private, and all that is inside it. */
  isPrivate: boolean;
  readonly steps: Map<string, Place>;
}

function toPlace(names: readonly string[]): Place {
  const start: Place = { isPrivate: false, steps: new Map() };
  for (const name of names) {
    let place = start;
    for (const step of name.split(".")) {
      const next = place.steps.get(step) ?? { isPrivate: false, steps: new Map() };
      place.steps.set(step, next);
      place = next;
    }
    place.isPrivate = true;
  }
  return start;
}

/** Where a name leads from a place: as far as the first that is private. Undefined: to nothing that is, and nothing inside it is. */
function follow(start: Place, name: string): Place | undefined {
  let place = start;
  for (let from = 0; from <= name.length; ) {
    const dot = name.indexOf(".", from);
    const to = dot === -1 ? name.length : dot;
    const next = place.steps.get(name.slice(from, to));
    if (next === undefined || next.isPrivate) return next;
    place = next;
    from = to + 1;
  }
  return place;
}

/** Undefined: nothing of it is private. */
function without(object: Members, members: readonly string[], start: Place): Members | undefined {
  const kept: [string, unknown][] = [];
  let isCut = false;
  for (const member of members) {
    const value = object[member];
    const left = withoutInside(value, follow(start, member));
    if (left !== value) isCut = true;
    // A function is nothing that JSON holds; one named `toJSON` could give back what was left out.
    if (left !== undefined && typeof left !== "function") kept.push([member, left]);
  }
  // Defines, and does not assign: a name may be `__proto__`.
  return isCut ? Object.fromEntries(kept) : undefined;
}

/** What is left of one member; undefined where all of it is private. */
function withoutInside(value: unknown, place: Place | undefined): unknown {
  if (place === undefined) return value;
  if (place.isPrivate) return undefined;
  const level = toJsonLevel(value);
  if (typeof level !== "object" || level === null) return value;
  return Array.isArray(level) ? undefined : (without(level as Members, Object.keys(level), place) ?? value);
}
