import type { Readable } from "node:stream";
import { usageFailure } from "./failure.js";
import { readInput } from "./read-input.js";

/** The targeting keys that a command is about, each once in its list. */
export interface SegmentKeyLists {
  readonly included: readonly string[];
  readonly excluded: readonly string[];
}

/** The options that name keys: `a,b,c`, or `@FILE` with one in each line, or `@-` for standard input. */
export interface SegmentKeyOptions {
  readonly included?: string;
  readonly excluded?: string;
}

/**
 * Reads both lists. Blanks around a key do not count, in a list or in a file, nor do empty lines of a file; so a key with a
 * comma can only come in a file, and one with blanks around it not at all.
 */
export async function readSegmentKeys(options: SegmentKeyOptions, stdin: Readable): Promise<SegmentKeyLists> {
  if (options.included === undefined && options.excluded === undefined) {
    throw usageFailure("which keys? Give --included, --excluded or both");
  }
  const included = await readKeys("--included", options.included, stdin);
  const excluded = await readKeys("--excluded", options.excluded, stdin);
  refuseBoth(included, excluded);
  return { included, excluded };
}

async function readKeys(what: string, option: string | undefined, stdin: Readable): Promise<readonly string[]> {
  if (option === undefined) return [];
  const keys = option.startsWith("@") ? await readLines(what, option.slice(1), stdin) : parseList(what, option);
  return [...new Set(keys)];
}

function parseList(what: string, text: string): readonly string[] {
  if (text.trim() === "") throw usageFailure(`${what} is empty; give keys such as user-1,user-2, or @FILE`);
  const keys = text.split(",").map((key) => key.trim());
  if (keys.includes("")) {
    throw usageFailure(
      `${what} has an empty key: two commas in a row, or one at an end; give keys such as user-1,user-2`,
    );
  }
  return keys;
}

async function readLines(what: string, path: string, stdin: Readable): Promise<readonly string[]> {
  const content = await readInput(path, stdin, `${what} file`);
  const keys = content.split("\n").map((line) => line.trim());
  const found = keys.filter((key) => key !== "");
  if (found.length > 0) return found;
  const name = path === "-" ? "from standard input" : `file ${path}`;
  throw usageFailure(`${what} ${name} has no keys; write one in each line`);
}

/** Whoever is in both lists of a segment is included, which is hardly what the second was for. */
function refuseBoth(included: readonly string[], excluded: readonly string[]): void {
  const first = new Set(included);
  const both = excluded.filter((key) => first.has(key));
  if (both.length === 0) return;
  const more = both.length > 1 ? ` and ${both.length - 1} more` : "";
  throw usageFailure(
    `--included and --excluded both have ${JSON.stringify(both[0])}${more}; name each key in one of them`,
  );
}
