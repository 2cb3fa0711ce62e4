import { printable } from "../base/index.js";

/** A line of text, and what belongs under it. */
export interface TextTree {
  readonly text: string;
  readonly children?: readonly TextTree[] | undefined;
}

/** A tree as lines with its branches drawn, joined by line feeds. What is not printable is made visible. */
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
