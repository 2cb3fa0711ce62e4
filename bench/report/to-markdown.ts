import type { Machine } from "./machine.js";
import type { Unit } from "./measure.js";
import type { Cell, Section } from "./section.js";

export interface Report {
  readonly command: string;
  readonly machine: Machine;
  readonly durationMs: number;
  readonly sections: readonly Section[];
}

/** The whole report for people: one table a section, and what made it. */
export function toMarkdown({ command, machine, durationMs, sections }: Report): string {
  const { cpu, cores, memoryBytes, system, node, fileSystem, date, loadAverage } = machine;
  const made = [
    `Made by \`${command}\` on ${date.slice(0, 10)} in ${Math.round(durationMs / 1000)} s, with Node ${node} on ${cpu},`,
    `${cores} cores, ${format(memoryBytes, scaleOf("bytes", memoryBytes))}, ${system}, data on ${fileSystem}; load average before the start ${loadAverage.toFixed(2)}.`,
    "A figure is the median of its rounds, with the least and the greatest in parentheses.",
  ];
  return `${[...sections.map(toTable), made.join("\n")].join("\n\n")}\n`;
}

function toTable({ title, columns, rows, notes }: Section): string {
  const lines = [
    columns,
    columns.map((_, index) => (index === 0 ? "---" : "---:")),
    ...rows.map((row) => row.map(toText)),
  ];
  const table = lines.map((cells) => `| ${cells.join(" | ")} |`);
  return [`### ${title}`, "", ...table, "", ...notes.map((note) => `- ${note}`)].join("\n").trimEnd();
}

function toText(cell: Cell): string {
  if (typeof cell === "string") return cell;
  if ("value" in cell) return format(cell.value, scaleOf(cell.unit, cell.value));
  const { unit, median, low, high } = cell;
  const scale = scaleOf(unit, median);
  if (low === high) return format(median, scale);
  const bare = { ...scale, suffix: "" };
  return `${format(median, scale)} (${format(low, bare)}–${format(high, bare)})`;
}

/** How numbers of some size are written. */
interface Scale {
  readonly divisor: number;
  readonly digits: number;
  readonly suffix: string;
}

function scaleOf(unit: Unit, value: number): Scale {
  switch (unit) {
    case "per-second":
      return value >= 1e6 ? { divisor: 1e6, digits: 1, suffix: " M/s" } : { divisor: 1, digits: 0, suffix: "/s" };
    case "nanoseconds":
      return { divisor: 1, digits: value < 10 ? 1 : 0, suffix: " ns" };
    case "microseconds":
      return { divisor: 1, digits: 1, suffix: " µs" };
    case "milliseconds":
      return { divisor: 1, digits: Math.abs(value) < 100 ? 2 : 0, suffix: " ms" };
    case "bytes":
      return value < 2 ** 30
        ? { divisor: 2 ** 20, digits: value < 100 * 2 ** 20 ? 1 : 0, suffix: " MiB" }
        : { divisor: 2 ** 30, digits: 1, suffix: " GiB" };
    case "ratio":
      return { divisor: 1, digits: 2, suffix: "×" };
    case "percent":
      return { divisor: 1, digits: 0, suffix: " %" };
    case "count":
      return { divisor: 1, digits: 0, suffix: "" };
  }
}

function format(value: number, { divisor, digits, suffix }: Scale): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${(value / divisor).toLocaleString("en-US", options)}${suffix}`;
}
