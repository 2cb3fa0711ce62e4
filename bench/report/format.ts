import type { Unit } from "./measure.js";
import type { Cell } from "./section.js";

/** A cell of a table, as people read it. */
export function toText(cell: Cell): string {
  if (typeof cell === "string") return cell;
  if ("value" in cell) return formatIn(cell.unit, cell.value);
  const { unit, median, low, high } = cell;
  const scale = scaleOf(unit, median);
  if (low === high) return format(median, scale);
  const bare = { ...scale, suffix: "" };
  return `${format(median, scale)} (${format(low, bare)}–${format(high, bare)})`;
}

/** One number with its unit. */
export function formatIn(unit: Unit, value: number): string {
  return format(value, scaleOf(unit, value));
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
      return scaleOfBytes(value);
    case "ratio":
      return { divisor: 1, digits: 2, suffix: "×" };
    case "percent":
      return { divisor: 1, digits: 0, suffix: " %" };
    case "count":
      return { divisor: 1, digits: 0, suffix: "" };
  }
}

function scaleOfBytes(value: number): Scale {
  if (value < 2 ** 10) return { divisor: 1, digits: value < 100 ? 1 : 0, suffix: " B" };
  if (value < 2 ** 20) return { divisor: 2 ** 10, digits: 1, suffix: " KiB" };
  if (value < 2 ** 30) return { divisor: 2 ** 20, digits: value < 100 * 2 ** 20 ? 1 : 0, suffix: " MiB" };
  return { divisor: 2 ** 30, digits: 1, suffix: " GiB" };
}

function format(value: number, { divisor, digits, suffix }: Scale): string {
  const options = {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: "negative",
  } as const;
  return `${(value / divisor).toLocaleString("en-US", options)}${suffix}`;
}
