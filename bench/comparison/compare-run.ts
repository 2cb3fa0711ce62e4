import type { Section } from "../report/section.js";
import { type Change, compareFigure } from "./compare-figure.js";
import { type Figure, figuresOf, type Place, type PlacedFigure } from "./figure.js";
import type { Origin, SavedFigures } from "./figures-file.js";

/** A figure beside the committed one. Without a change there is none yet. */
export interface ComparedFigure extends PlacedFigure {
  readonly then?: Figure;
  readonly change?: Change;
}

export interface Comparison {
  /** What made the committed figures, by section. */
  readonly since: Readonly<Record<string, Origin>>;
  readonly figures: readonly ComparedFigure[];
  /** Committed figures of the sections that ran, which the run did not have. */
  readonly gone: readonly Place[];
}

/** Compares the sections of a run with the committed figures. */
export function compareRun(sections: readonly Section[], saved: SavedFigures): Comparison {
  const since: Record<string, Origin> = {};
  const figures: ComparedFigure[] = [];
  const gone: Place[] = [];
  for (const section of sections) {
    const placed = figuresOf(section);
    const committed = saved.sections[section.name];
    figures.push(...placed.map((one) => compareOne(one, committed?.figures[one.row]?.[one.column])));
    if (committed === undefined) continue;
    const { figures: rows, ...origin } = committed;
    since[section.name] = origin;
    for (const [row, columns] of Object.entries(rows)) {
      for (const column of Object.keys(columns)) {
        const isHere = placed.some((one) => isSamePlace(one, { section: section.name, row, column }));
        if (!isHere) gone.push({ section: section.name, row, column });
      }
    }
  }
  return { since, figures, gone };
}

function compareOne(placed: PlacedFigure, then: Figure | undefined): ComparedFigure {
  return then === undefined ? placed : { ...placed, then, change: compareFigure(placed.figure, then, placed.by) };
}

/** Those that are worse than the committed ones. */
export function worseOf({ figures }: Comparison): readonly ComparedFigure[] {
  return figures.filter(({ change }) => change?.verdict === "worse");
}

/**
 * The comparison after a second run of what was worse in the first: such a figure is taken from the second, and so is worse
 * only if it was twice.
 */
export function confirmed(first: Comparison, second: Comparison): Comparison {
  const figures = first.figures.map((figure) => {
    if (figure.change?.verdict !== "worse") return figure;
    return second.figures.find((other) => isSamePlace(figure, other)) ?? figure;
  });
  return { ...first, figures };
}

function isSamePlace(one: Place, other: Place): boolean {
  return one.section === other.section && one.row === other.row && one.column === other.column;
}
