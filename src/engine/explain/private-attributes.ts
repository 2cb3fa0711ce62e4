/** Which attributes must not be told. */
export class PrivateAttributes {
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Whether an attribute, or anything inside it, or anything that it is inside of, is private. */
  has(name: string): boolean {
    return this.#names.some((other) => other === name || isInside(name, other) || isInside(other, name));
  }
}

/** Whether a path leads into what another name stands for. */
export function isInside(path: string, ancestor: string): boolean {
  return path.startsWith(ancestor) && path.charAt(ancestor.length) === ".";
}
