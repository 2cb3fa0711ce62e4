/**
 * Names of private attributes, made sure of at run time: what JavaScript passes instead of a list must not make anything
 * public. Undefined where it is no list of names; an absent list is empty.
 */
export function parsePrivateAttributes(names: unknown): readonly string[] | undefined {
  if (names === undefined) return [];
  if (!Array.isArray(names)) return undefined;
  return names.every((name) => typeof name === "string" && name !== "") ? names : undefined;
}

/** The private attributes of `explain`'s options. Undefined where the options cannot be what was meant. */
export function parseExplainOptions(options: unknown): readonly string[] | undefined {
  if (options === undefined || options === null) return [];
  if (typeof options !== "object" || Array.isArray(options)) return undefined;
  for (const name of Object.keys(options)) if (name !== "privateAttributes") return undefined;
  return parsePrivateAttributes((options as { readonly privateAttributes?: unknown }).privateAttributes);
}

export const NO_LIST_OF_NAMES = 'privateAttributes must be a list of names, such as ["email"]';
