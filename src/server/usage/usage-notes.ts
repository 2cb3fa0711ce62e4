import type { SideChange } from "../../store/index.js";
import type { KeptHour } from "./hourly-counts.js";
import type { KeptUsage, UsageJournal } from "./usage-journal.js";
import type { Reporter } from "./usage-ledger.js";
import { toCompleteRow, toHourRow, toReporterRow, toReportRow, toUsageRow } from "./usage-rows.js";

/** Some of what is to be written. */
export interface NotedBatch {
  readonly changes: readonly SideChange[];
  /** It was not written; what was noted meanwhile is newer. */
  putBack(): void;
}

interface ReporterNote {
  readonly environment: string;
  readonly clientName: string;
  readonly reporter: Reporter | undefined;
}

/**
 * What of a ledger is not written yet: the newest state of each row, so that there is never more than the ledger holds and has
 * dropped. Rows are made of it only when they are taken.
 */
export class UsageNotes implements UsageJournal {
  readonly #rows = new Map<string, string | undefined>();
  readonly #reportIds = new Map<number, string | undefined>();
  readonly #reporters = new Map<string, ReporterNote>();
  readonly #usages = new Map<string, KeptUsage | undefined>();
  readonly #hours = new Map<string, KeptHour | undefined>();

  usage(id: string, usage: KeptUsage | undefined): void {
    this.#usages.set(id, usage);
  }

  hour(id: string, row: KeptHour | undefined): void {
    this.#hours.set(id, row);
  }

  hoursCompleteSince(sinceMs: number): void {
    this.add(toCompleteRow(sinceMs));
  }

  reporter(environment: string, clientName: string, reporter: Reporter | undefined): void {
    this.#reporters.set(JSON.stringify([environment, clientName]), { environment, clientName, reporter });
  }

  reportId(number: number, id: string | undefined): void {
    this.#reportIds.set(number, id);
  }

  add([key, text]: SideChange): void {
    this.#rows.set(key, text);
  }

  get isEmpty(): boolean {
    return this.#rows.size + this.#reportIds.size + this.#reporters.size + this.#usages.size + this.#hours.size === 0;
  }

  /** Forgets what the ledger holds, and goes on knowing what it has dropped. */
  keepRemovals(): void {
    for (const [number, id] of this.#reportIds) if (id !== undefined) this.#reportIds.delete(number);
    for (const [id, { reporter }] of this.#reporters) if (reporter !== undefined) this.#reporters.delete(id);
    for (const [id, usage] of this.#usages) if (usage !== undefined) this.#usages.delete(id);
    for (const [id, row] of this.#hours) if (row !== undefined) this.#hours.delete(id);
  }

  /** The ids of reports come before what they counted. */
  take(maxRows: number): NotedBatch {
    let room = maxRows;
    const take = <K, V>(map: Map<K, V>): [K, V][] => {
      const taken = takeFrom(map, room);
      room -= taken.length;
      return taken;
    };
    const rows = take(this.#rows);
    const reportIds = take(this.#reportIds);
    const reporters = take(this.#reporters);
    const usages = take(this.#usages);
    const hours = take(this.#hours);
    return {
      changes: [
        ...rows,
        ...reportIds.map(([number, id]) => toReportRow(number, id)),
        ...reporters.map(([, { environment, clientName, reporter }]) =>
          toReporterRow(environment, clientName, reporter),
        ),
        ...usages.map(([id, usage]) => toUsageRow(id, usage)),
        ...hours.map(([id, row]) => toHourRow(id, row)),
      ],
      putBack: () => {
        putBack(this.#rows, rows);
        putBack(this.#reportIds, reportIds);
        putBack(this.#reporters, reporters);
        putBack(this.#usages, usages);
        putBack(this.#hours, hours);
      },
    };
  }
}

function takeFrom<K, V>(map: Map<K, V>, maxCount: number): [K, V][] {
  const taken: [K, V][] = [];
  for (const entry of map) {
    if (taken.length >= maxCount) break;
    map.delete(entry[0]);
    taken.push(entry);
  }
  return taken;
}

function putBack<K, V>(map: Map<K, V>, entries: readonly [K, V][]): void {
  for (const [key, value] of entries) if (!map.has(key)) map.set(key, value);
}
