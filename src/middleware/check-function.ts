/** Throws a TypeError for an option that is given and cannot be called: nobody would hear of it before it is needed. */
export function checkFunction(name: string, option: unknown): void {
  if (option !== undefined && typeof option !== "function") throw new TypeError(`${name} must be a function`);
}
