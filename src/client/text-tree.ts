/** A line of text, and what belongs under it. */
export interface TextTree {
  readonly text: string;
  readonly children?: readonly TextTree[] | undefined;
}

/** A tree as lines with its branches drawn, joined by line feeds. Control characters are escaped. */
export function tree(root: TextTree): string {
  const lines = [printable(root.text)];
  const draw = (children: readonly TextTree[], indent: string): void => {
    for (const [index, { text, children: under = [] }] of children.entries()) {
      const isLast = index === children.length - 1;
      lines.push(`${indent}${isLast ? "└─ " : "├─ "}${printable(text)}`);
      draw(under, `${indent}${isLast ? "   " : "│  "}`);
    }
  };
  draw(root.children ?? [], "");
  return lines.join("\n");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** What stands in flags and contexts is anybody's: it must neither break a line nor drive a terminal. */
function printable(text: string): string {
  return text.replace(controlCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
