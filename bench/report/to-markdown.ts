import type { ComparedFigure, Comparison } from "../comparison/compare-run.js";
import type { Figure } from "../comparison/figure.js";
import { formatIn, toText } from "./format.js";
import type { Machine } from "./machine.js";
import type { Cell, Section } from "./section.js";

export interface Report {
  readonly command: string;
  readonly machine: Machine;
  readonly durationMs: number;
  readonly sections: readonly Section[];
  /** With the last committed figures. Default: there is none. */
  readonly comparison?: Comparison;
}

/** The whole report for people: one table a section, how it compares with the last figures, and what made it. */
export function toMarkdown({ command, machine, durationMs, sections, comparison }: Report): string {
  const { cpu, cores, memoryBytes, system, node, fileSystem, date, loadAverage } = machine;
  const made = [
    `Made by \`${command}\` on ${date.slice(0, 10)} in ${Math.round(durationMs / 1000)} s, with Node ${node} on ${cpu},`,
    `${cores} cores, ${formatIn("bytes", memoryBytes)}, ${system}, data on ${fileSystem}; load average before the start ${loadAverage.toFixed(2)}.`,
    "A figure is the median of its rounds, with the least and the greatest in parentheses.",
  ];
  const parts = comparison
    ? [...sections.map((section) => toTable(withChanges(section, comparison.figures))), toSummary(comparison)]
    : sections.map(toTable);
  return `${[...parts, made.join("\n")].join("\n\n")}\n`;
}

function toTable({ title, columns, rows, notes }: Pick<Section, "title" | "columns" | "rows" | "notes">): string {
  const lines = [
    columns,
    columns.map((_, index) => (index === 0 ? "---" : "---:")),
    ...rows.map((row) => row.map(toText)),
  ];
  const table = lines.map((cells) => `| ${cells.join(" | ")} |`);
  return [`### ${title}`, "", ...table, "", ...notes.map((note) => `- ${note}`)].join("\n").trimEnd();
}

/** The table with a column for each that is compared. */
function withChanges(section: Section, figures: readonly ComparedFigure[]): Section {
  const { name, columns, rows, compared = [] } = section;
  const changeIn = ([row]: readonly Cell[], column: string): string => {
    const isIt = (one: ComparedFigure) => one.section === name && one.row === row && one.column === column;
    const figure = figures.find(isIt);
    return figure === undefined ? "" : toChange(figure);
  };
  return {
    ...section,
    columns: [...columns, ...compared.map(({ column }) => titleOf(column, compared.length))],
    rows: rows.map((cells) => [...cells, ...compared.map(({ column }) => changeIn(cells, column))]),
  };
}

function titleOf(column: string, comparedColumns: number): string {
  return comparedColumns === 1 ? "since the last figures" : `${column}: since the last figures`;
}

function toChange({ change }: ComparedFigure): string {
  if (change === undefined) return "new";
  const times = formatIn("ratio", change.times);
  return change.verdict === "same" ? times : `**${times}, ${change.verdict}**`;
}

function toSummary({ since, figures, gone }: Comparison): string {
  const count = (verdict: string): number => figures.filter(({ change }) => change?.verdict === verdict).length;
  const fresh = figures.filter(({ change }) => change === undefined).length;
  const counts = [`${count("worse")} worse`, `${count("better")} better`, `${count("same")} within the spread`];
  const notes = [
    `${counts.join(", ")}; ${fresh} that are not in \`bench/figures.json\` yet.`,
    "A figure is worse if its median is, by more than a tenth (a fifth for starts, loads, bulks, calls a second and the memory of a watcher, three tenths for fan-outs and first updates, a half for propagation, herds and writes), and no usual round of this run is as good as one of that. The usual rounds are all, of eight or more all but the least and the greatest. Where both runs had a machine to themselves, that is.",
    ...gone.map(({ section, row, column }) => `No longer measured: ${section}, ${row}, ${column}.`),
    ...toOrigins(since),
  ];
  const rows = figures.flatMap((figure): Cell[][] => {
    const { section, row, column, unit, then, change } = figure;
    if (then === undefined || change === undefined || change.verdict === "same") return [];
    const cell = (range: Figure): string => toText({ ...range, unit, rounds: Number.NaN });
    return [[section, row, column, cell(then), cell(figure.figure), toChange(figure)]];
  });
  const columns = ["section", "row", "figure", "then", "now", "now by then"];
  if (rows.length > 0) return toTable({ title: "Since the last committed figures", columns, rows, notes });
  return ["### Since the last committed figures", "", ...notes.map((note) => `- ${note}`)].join("\n");
}

/** One line for each run that made committed figures. */
function toOrigins(since: Comparison["since"]): string[] {
  const sections = new Map<string, string[]>();
  for (const [section, { date, node, cpu, loadAverage, command }] of Object.entries(since)) {
    const made = `on ${date.slice(0, 10)} by \`${command}\`, with Node ${node} on ${cpu}, load average ${loadAverage.toFixed(2)}`;
    sections.set(made, [...(sections.get(made) ?? []), section]);
  }
  return [...sections].map(([made, names]) => `The committed figures of ${names.join(", ")} were made ${made}.`);
}
