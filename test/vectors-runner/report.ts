import type { Difference } from "./differences.js";

/** What came of one file. */
export interface FileReport {
  readonly name: string;
  readonly cases: number;
  /** Flags and segments that the server must refuse. */
  readonly refused: number;
  /** What it did with the file otherwise than it must, in sentences. */
  readonly wrong: readonly string[];
  readonly differences: readonly Difference[];
}

/** What came of a run. */
export interface Report {
  readonly address: string;
  readonly ways: readonly string[];
  readonly files: readonly FileReport[];
  /** Whether everything was as expected. */
  readonly alike: boolean;
}

export function isAlike({ wrong, differences }: FileReport): boolean {
  return wrong.length === 0 && differences.length === 0;
}

/** A line for a file, and lines for everything about it that is not as expected. */
export function toLines(file: FileReport): string {
  const count = file.wrong.length + file.differences.length;
  const result = count === 0 ? "alike" : `${count} ${count === 1 ? "difference" : "differences"}`;
  const refused = file.refused > 0 ? `, ${file.refused} refused` : "";
  const lines = [`${file.name.padEnd(20)} ${String(file.cases).padStart(5)} cases${refused}: ${result}`];
  for (const sentence of file.wrong) lines.push(`  the server ${sentence}`);
  for (const { way, flagKey, context, expected, got } of file.differences) {
    lines.push(`  ${flagKey} for ${JSON.stringify(context)} by ${way}`);
    lines.push(`    expected ${JSON.stringify(expected)}`, `    got      ${JSON.stringify(got)}`);
  }
  return `${lines.join("\n")}\n`;
}

export function toSummary({ address, ways, files, alike }: Report): string {
  const cases = files.reduce((sum, file) => sum + file.cases, 0);
  const verdict = alike ? "every answer is as expected" : "some answers are not as expected";
  return `${address}: ${cases} cases, each by ${ways.join(", ")}: ${verdict}\n`;
}
