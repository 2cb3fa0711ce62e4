import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type IgnoreRules, parseIgnoreRules } from "./ignore-rules.js";

/** What is never anybody's own source. */
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([".git", ".hg", ".svn", "node_modules", "dist"]);

/** How to walk a tree. */
export interface WalkOptions {
  /** Patterns as in a .gitignore, of what to leave out besides. */
  readonly exclude: readonly string[];
  /** Told of each folder that cannot be read. */
  readonly onUnreadable: (path: string, error: Error) => void;
}

/** A folder's rules, and those above it. */
interface Place {
  /** Relative to the root, empty or with a `/` at its end. */
  readonly prefix: string;
  readonly rules: readonly { readonly prefix: string; readonly ignore: IgnoreRules }[];
}

/**
 * The paths of a tree's files, relative to it and in order of their names. What .gitignore files within the tree leave out
 * is left out. Links are not followed: what they lead to is in the tree under its own name, or is not of the tree.
 */
export async function* walkFiles(root: string, options: WalkOptions): AsyncGenerator<string, void, undefined> {
  const rules = [{ prefix: "", ignore: parseIgnoreRules(options.exclude) }];
  // A stack of our own, so that no depth of folders is too much.
  const rest: (Place | string)[] = [{ prefix: "", rules }];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next === "string") yield next;
    // One by one: a call takes only so many arguments.
    else for (const one of (await readFolder(root, next, options)).reverse()) rest.push(one);
  }
}

async function readFolder(root: string, place: Place, { onUnreadable }: WalkOptions): Promise<(Place | string)[]> {
  const entries = await readEntries(join(root, place.prefix), (error) => onUnreadable(place.prefix, error));
  const rules = [...place.rules];
  const own = entries.find((entry) => entry.name === ".gitignore" && entry.isFile());
  if (own !== undefined) {
    const path = `${place.prefix}.gitignore`;
    const lines = await readLines(join(root, path), (error) => onUnreadable(path, error));
    rules.push({ prefix: place.prefix, ignore: parseIgnoreRules(lines) });
  }
  return entries.flatMap((entry): (Place | string)[] => {
    const path = place.prefix + entry.name;
    const isFolder = entry.isDirectory();
    if (!isFolder && !entry.isFile()) return [];
    if ((isFolder && SKIPPED_FOLDERS.has(entry.name)) || isIgnored(path, isFolder, rules)) return [];
    return [isFolder ? { prefix: `${path}/`, rules } : path];
  });
}

/** The rules nearest to a path decide, but for those that were given by hand. */
function isIgnored(path: string, isFolder: boolean, [given, ...files]: Place["rules"]): boolean {
  if (given?.ignore(path, isFolder) === true) return true;
  for (const { prefix, ignore } of files.reverse()) {
    const decision = ignore(path.slice(prefix.length), isFolder);
    if (decision !== undefined) return decision;
  }
  return false;
}

async function readEntries(path: string, onError: (error: Error) => void): Promise<Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    onError(error as Error);
    return [];
  }
}

async function readLines(path: string, onError: (error: Error) => void): Promise<readonly string[]> {
  try {
    // Editors may begin a text with a byte order mark, which is no part of its first pattern.
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "").split(/\r?\n/);
  } catch (error) {
    onError(error as Error);
    return [];
  }
}
