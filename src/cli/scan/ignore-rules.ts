import { RE2JS } from "re2js";

/** Whether a path, relative to the rules' folder and with `/` between names, is left out; undefined where no rule is about it. */
export type IgnoreRules = (path: string, isFolder: boolean) => boolean | undefined;

interface Rule {
  readonly matches: (path: string) => boolean;
  readonly foldersOnly: boolean;
  readonly ignores: boolean;
}

/** Longer lines are no patterns that anybody wrote. */
const MAX_PATTERN_LENGTH = 1_000;

/** Reads lines as in a .gitignore. The last rule that is about a path decides. */
export function parseIgnoreRules(lines: readonly string[]): IgnoreRules {
  const rules = lines.flatMap((line) => parseRule(line) ?? []).reverse();
  return (path, isFolder) => rules.find((rule) => (isFolder || !rule.foldersOnly) && rule.matches(path))?.ignores;
}

function parseRule(line: string): Rule | undefined {
  const text = line.trimEnd();
  if (text === "" || text.startsWith("#") || text.length > MAX_PATTERN_LENGTH) return undefined;
  const ignores = !text.startsWith("!");
  const glob = ignores ? text : text.slice(1);
  const foldersOnly = glob.endsWith("/");
  const body = foldersOnly ? glob.slice(0, -1) : glob;
  // With a slash before its end a pattern is about a path from here; without, about a name anywhere below.
  const anywhere = body.includes("/") ? "" : "(?:.*/)?";
  try {
    const source = `^${anywhere}${toSource(body.replace(/^\//, ""))}$`;
    return { matches: createMatcher(source), foldersOnly, ignores };
  } catch {
    return undefined;
  }
}

/** Beyond so many stars a path can be matched in more ways than anybody can wait for, unless by an engine that is slower otherwise. */
const MAX_QUICK_STARS = 3;

function createMatcher(source: string): Rule["matches"] {
  const stars = source.match(/\*/g)?.length ?? 0;
  const pattern = stars <= MAX_QUICK_STARS ? new RegExp(source) : RE2JS.compile(source);
  return (path) => pattern.test(path);
}

/** A glob as the source of a regular expression; neighbouring stars are one, so that none has many ways to match. */
function toSource(glob: string): string {
  const parts = /\*\*\/(?:\*\*\/)*|\/\*\*$|\*+|\?|\[!?[^\]/]+\]|\\.|[\s\S]/g;
  return glob.replace(parts, (part) => {
    if (part.startsWith("**/")) return "(?:.*/)?";
    if (part === "/**") return "/.*";
    if (part.startsWith("*")) return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.length > 2 && part.startsWith("[")) return part.replace(/^\[!/, "[^").replace(/\\/g, "\\\\");
    return escapeCharacter(part.length === 2 ? part.slice(1) : part);
  });
}

function escapeCharacter(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
