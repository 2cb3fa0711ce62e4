// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/g;

/** Text from elsewhere with control characters made visible, so that it can neither break a line nor drive a terminal. */
export function printable(text: string): string {
  return text.replace(controlCharacters, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Rows as aligned columns, under a header. Cells are made printable; the last column is not padded. */
export function toTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** `1 flag`, `2 flags`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
