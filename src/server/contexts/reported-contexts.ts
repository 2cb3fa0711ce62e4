import type { Clock } from "../../base/index.js";
import { type Context, withoutPrivate } from "../../engine/index.js";
import type { Head } from "../state/head.js";
import type { KeptContexts } from "./kept-contexts.js";

/** See ReportUsageResponse.wanted_contexts. */
export const MAX_REPORTED_CONTEXTS = 50;

/** Reports of an interval share the contexts that are wanted of it. */
const INTERVAL_MS = 5_000;

export interface ReportedContextsParts {
  readonly head: Pick<Head, "catalog">;
  readonly contexts: KeptContexts;
  readonly clock: Clock;
}

/** How much was reported of an environment lately. */
interface Traffic {
  /** When the interval began; see Clock.monotonicMs. */
  beganMs: number;
  reports: number;
  /** Of the interval before. */
  reportsBefore: number;
  /** Contexts that were taken. */
  taken: number;
}

/**
 * The contexts that mirrors report. They are told to bring fewer the more of them report, so that thousands bring no more than a
 * few: a process takes no more than so many of an environment in an interval, whoever sends them.
 */
export class ReportedContexts {
  readonly #parts: ReportedContextsParts;
  readonly #traffic = new Map<string, Traffic>();

  constructor(parts: ReportedContextsParts) {
    this.#parts = parts;
  }

  /** Counts a report, and keeps contexts that it brought: collected since `sinceMs`; undefined, they may be of any time. */
  async take(environment: string, contexts: readonly Context[], sinceMs: number | undefined): Promise<void> {
    const { head } = this.#parts;
    const record = head.catalog.environment(environment);
    if (!record?.keepContexts) {
      this.#traffic.delete(environment);
      return;
    }
    const traffic = this.#current(environment);
    traffic.reports++;
    const taken = contexts.slice(0, MAX_REPORTED_CONTEXTS - traffic.taken);
    if (taken.length === 0 || sinceMs === undefined) return;
    traffic.taken += taken.length;
    const kept = taken.map((context) => withoutPrivate(context, record.privateAttributes));
    await this.#parts.contexts.keep(environment, kept, sinceMs);
  }

  /** How many contexts the next report may bring. */
  wanted(environment: string): number {
    if (!this.#parts.head.catalog.environment(environment)?.keepContexts) return 0;
    const { reports, reportsBefore } = this.#current(environment);
    return Math.max(1, Math.floor(MAX_REPORTED_CONTEXTS / Math.max(1, reports, reportsBefore)));
  }

  #current(environment: string): Traffic {
    const nowMs = this.#parts.clock.monotonicMs();
    const known = this.#traffic.get(environment);
    const passedMs = nowMs - (known?.beganMs ?? Number.NEGATIVE_INFINITY);
    if (known !== undefined && passedMs < INTERVAL_MS) return known;
    const reportsBefore = passedMs < 2 * INTERVAL_MS ? (known?.reports ?? 0) : 0;
    const current = { beganMs: nowMs, reports: 0, reportsBefore, taken: 0 };
    this.#traffic.set(environment, current);
    return current;
  }
}
