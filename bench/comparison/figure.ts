import type { Measure } from "../report/measure.js";
import type { ComparedColumn, Section } from "../report/section.js";

/** A median with the usual range of its rounds; a ratio, or bytes. */
export interface Figure {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** A figure's place. `row` and `column` are the texts of its table. */
export interface Place {
  readonly section: string;
  readonly row: string;
  readonly column: string;
}

/** One that can be compared. */
export interface PlacedFigure extends Place {
  readonly unit: Measure["unit"];
  readonly figure: Figure;
  readonly by: ComparedColumn;
}

/** The figures of a section that can be compared with another run's. Throws for a column or a row that it does not have. */
export function figuresOf(section: Section): PlacedFigure[] {
  return (section.compared ?? []).flatMap((by) => figuresOfColumn(section, by));
}

function figuresOfColumn({ name, columns, rows, references = [] }: Section, by: ComparedColumn): PlacedFigure[] {
  const { column, over } = by;
  const index = columns.indexOf(column);
  if (index === -1) throw new Error(`section ${name} has no column ${column}`);
  const reference = over === undefined ? undefined : rows.find(([row]) => row === over)?.[index];
  if (over !== undefined && !isMeasure(reference)) throw new Error(`section ${name} has no measures in row ${over}`);
  return rows.flatMap((cells): PlacedFigure[] => {
    const [row] = cells;
    const cell = cells[index];
    if (typeof row !== "string" || references.includes(row) || !isMeasure(cell)) return [];
    const figure = isMeasure(reference) ? divide(toFigure(cell), toFigure(reference)) : toFigure(cell);
    return [{ section: name, row, column, unit: isMeasure(reference) ? "ratio" : cell.unit, figure, by }];
  });
}

function isMeasure(cell: unknown): cell is Measure {
  return typeof cell === "object" && cell !== null && "median" in cell;
}

function toFigure({ median, low, high, usual }: Measure): Figure {
  return { median, low: usual?.low ?? low, high: usual?.high ?? high };
}

/** Without the rounds, the range is that of any round by any other. */
function divide(figure: Figure, reference: Figure): Figure {
  return {
    median: figure.median / reference.median,
    low: figure.low / reference.high,
    high: figure.high / reference.low,
  };
}
