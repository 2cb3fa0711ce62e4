// In well-formed JSON these are the only tokens that matter to find keys.
const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/**
 * A key that stands twice in one object of well-formed JSON, with the line it stands in. `JSON.parse` silently keeps the
 * last one, which would drop a flag.
 */
export function findDuplicateKey(text: string): { readonly key: string; readonly line: number } | undefined {
  const objects: (Set<string> | undefined)[] = [];
  let lastString = "";
  let at = 0;
  for (const match of text.matchAll(tokens)) {
    const token = match[0];
    const keys = objects[objects.length - 1];
    if (token === "{") objects.push(new Set());
    else if (token === "[") objects.push(undefined);
    else if (token === "}" || token === "]") objects.pop();
    else if (token === ":" && keys !== undefined) {
      const key: string = JSON.parse(lastString);
      if (keys.has(key)) return { key, line: text.slice(0, at).split("\n").length };
      keys.add(key);
    } else if (token !== ",") {
      lastString = token;
      at = match.index;
    }
  }
  return undefined;
}
