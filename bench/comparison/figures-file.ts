import { readFile, writeFile } from "node:fs/promises";
import type { Figure, PlacedFigure } from "./figure.js";

/** What made the figures of a section. */
export interface Origin {
  /** RFC 3339. */
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly command: string;
  /** Before it began. Figures of a busy machine are noise. */
  readonly loadAverage: number;
}

export interface SavedSection extends Origin {
  /** By row, then by column. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, Figure>>>>;
}

/** The committed figures, by section. */
export interface SavedFigures {
  readonly sections: Readonly<Record<string, SavedSection>>;
}

/** `bench/figures.json`, seen from where this is compiled to. */
export const figuresFile = new URL("../../../bench/figures.json", import.meta.url);

/** No sections where there is no file. Throws where it is not one of ours. */
export async function readFigures(file: URL): Promise<SavedFigures> {
  try {
    return parseFigures(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { sections: {} };
    throw error;
  }
}

/** Replaces the sections given, and keeps the others. */
export async function saveFigures(file: URL, saved: SavedFigures): Promise<void> {
  await writeFile(file, stringifyFigures(saved));
}

/** The saved figures after a run: sections that it measured are replaced as a whole, so that rows that are gone go. */
export function withRun(saved: SavedFigures, figures: readonly PlacedFigure[], origin: Origin): SavedFigures {
  const measured: Record<string, SavedSection & { figures: Record<string, Record<string, Figure>> }> = {};
  for (const { section, row, column, figure } of figures) {
    measured[section] ??= { ...origin, figures: {} };
    const rows = measured[section].figures;
    rows[row] ??= {};
    rows[row][column] = rounded(figure);
  }
  return { sections: { ...saved.sections, ...measured } };
}

/** A figure to a line. */
export function stringifyFigures(saved: SavedFigures): string {
  const text = JSON.stringify(saved, null, 2);
  const ofOneLine = (_: string, members: string): string => `{ ${members.replace(/\s+/g, " ")} }`;
  return `${text.replace(/\{\s+("median"[^{}]*?)\s+\}/g, ofOneLine)}\n`;
}

/** Throws, saying where, for anything else. */
export function parseFigures(text: string): SavedFigures {
  const saved: unknown = JSON.parse(text);
  const sections = membersOf(saved, "the file").sections;
  for (const [name, section] of Object.entries(membersOf(sections, "sections"))) {
    const { figures, ...origin } = membersOf(section, name);
    for (const key of ["date", "node", "cpu", "command"]) {
      if (typeof origin[key] !== "string") throw new Error(`${name}: ${key} is not a text`);
    }
    if (typeof origin.loadAverage !== "number") throw new Error(`${name}: loadAverage is not a number`);
    for (const [row, columns] of Object.entries(membersOf(figures, name))) {
      for (const [column, figure] of Object.entries(membersOf(columns, `${name}, ${row}`))) {
        const { median, low, high } = membersOf(figure, `${name}, ${row}, ${column}`);
        if (![median, low, high].every((value) => typeof value === "number")) {
          throw new Error(`${name}, ${row}, ${column}: median, low and high are not all numbers`);
        }
      }
    }
  }
  return saved as SavedFigures;
}

function membersOf(value: unknown, place: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error(`${place}: not an object`);
}

/** More digits would be noise in every difference of the file. */
function rounded({ median, low, high }: Figure): Figure {
  const round = (value: number): number => Number(value.toPrecision(4));
  return { median: round(median), low: round(low), high: round(high) };
}
