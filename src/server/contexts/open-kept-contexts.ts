import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import type { HistoryEntry } from "../../../gen/flagwire/v1/history_pb.js";
import type { Clock } from "../../base/index.js";
import { type Context, withoutPrivate } from "../../engine/index.js";
import { HistoryCompacted, type SideTable, type Store, type StoreState } from "../../store/index.js";
import {
  CONTEXTS_PREFIX,
  placeKey,
  readContextRows,
  type Scope,
  scopeKey,
  toContextRow,
  toScopeRow,
} from "./context-rows.js";
import { EnvironmentContexts } from "./environment-contexts.js";
import type { KeptContext, KeptContexts } from "./kept-contexts.js";
import { RowWriter } from "./row-writer.js";

/** All environments at a revision. */
export interface EnvironmentsAt {
  readonly revision: bigint;
  readonly environments: readonly Environment[];
}

export interface KeptContextsOptions {
  /** The process's own. */
  readonly store: Pick<Store, "epoch" | "edges" | "load" | "tail">;
  readonly side: SideTable;
  readonly clock: Clock;
  /** What the store holds, or held a moment ago. */
  readonly start: EnvironmentsAt;
}

/** Contexts that last. Close it before the store. */
export interface OwnedKeptContexts extends KeptContexts, AsyncDisposable {
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

/**
 * Contexts that are kept beside the log of a store: answered from memory, and written in the background. It follows the log, so it
 * knows of each time that an environment was switched off, even if only for a moment; nothing is kept or told before it has
 * followed as far as there is.
 *
 * Where the process ends in between, the revision of the environment tells at the next start: what was kept counts only if
 * it is the one that was dealt with.
 */
export function openKeptContexts(options: KeptContextsOptions): OwnedKeptContexts {
  return new SideKeptContexts(options);
}

/** The environments of a state. */
export function environmentsOf({ revision, records }: StoreState): EnvironmentsAt {
  const environments: Environment[] = [];
  for (const { kind } of records.values()) if (kind.case === "environment") environments.push(kind.value);
  return { revision, environments };
}

/** An environment that keeps contexts. */
interface Keeping {
  /** As far as it is followed. */
  record: Environment;
  readonly begun: bigint;
  readonly sinceMs: number;
  /** Since when the clock shows a time before that, by itself: it was ahead when it began. */
  setBackMs?: number | undefined;
  readonly contexts: EnvironmentContexts;
}

class SideKeptContexts implements OwnedKeptContexts {
  readonly #store: KeptContextsOptions["store"];
  readonly #clock: Clock;
  readonly #writer: RowWriter;
  readonly #keeping = new Map<string, Keeping>();
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  #revision: bigint;
  /** Called at every move, and at the end. */
  readonly #waiting: (() => void)[] = [];
  /** It is closed, or cannot follow any longer: it keeps nothing more, and tells nothing. */
  #hasEnded = false;

  constructor({ store, side, clock, start }: KeptContextsOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#writer = new RowWriter(side, clock);
    this.#revision = start.revision;
    this.#restore(side, start);
    this.#following = this.#follow().then(() => this.#end());
  }

  async keep(environment: string, contexts: readonly Context[], sinceMs?: number): Promise<void> {
    await this.#caughtUp();
    const keeping = this.#hasEnded ? undefined : this.#keeping.get(environment);
    const keptMs = this.#clock.now();
    if (keeping === undefined || (sinceMs !== undefined && sinceMs < earliestOf(keeping, keptMs))) return;
    const { privateAttributes } = keeping.record;
    for (const context of contexts) {
      const placed = keeping.contexts.put(withoutPrivate(context, privateAttributes), keptMs);
      if (placed !== undefined) this.#writer.note(toContextRow(environment, placed));
    }
  }

  async list(environment: string): Promise<readonly KeptContext[]> {
    return (await this.#current(environment))?.newestFirst() ?? [];
  }

  async count(environment: string): Promise<number> {
    return (await this.#current(environment))?.size ?? 0;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    await this.#writer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #current(environment: string): Promise<EnvironmentContexts | undefined> {
    await this.#caughtUp();
    return this.#hasEnded ? undefined : this.#keeping.get(environment)?.contexts;
  }

  #restore(side: SideTable, { environments }: EnvironmentsAt): void {
    const { rows, damaged } = readContextRows(side.entries(CONTEXTS_PREFIX));
    // First: what stands in their places now is noted later.
    for (const key of damaged) this.#writer.note([key, undefined]);
    const continued = new Map<string, EnvironmentContexts>();
    for (const record of environments) {
      if (!record.keepContexts) continue;
      const { scope } = rows.get(record.name) ?? {};
      if (scope?.epoch !== this.#store.epoch || scope.revision !== record.revision) {
        this.#begin(record);
        continue;
      }
      const contexts = new EnvironmentContexts(scope.begun);
      continued.set(record.name, contexts);
      this.#keeping.set(record.name, { record, begun: scope.begun, sinceMs: scope.sinceMs, contexts });
    }
    for (const [environment, found] of rows) {
      if (!this.#keeping.has(environment)) this.#writer.note([scopeKey(environment), undefined]);
      const rest = continued.get(environment)?.restore(found.contexts) ?? found.contexts.map(({ place }) => place);
      for (const place of rest) this.#writer.note([placeKey(environment, place), undefined]);
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const entry of this.#store.tail(this.#revision, signal)) this.#apply(entry);
        return;
      } catch (cause) {
        // Whoever serves hears of any other failure by itself, and ends.
        if (!(cause instanceof HistoryCompacted) || !(await this.#reload())) return;
      }
    }
  }

  /** History has moved past what was followed: an environment that was changed meanwhile may have been switched off. */
  async #reload(): Promise<boolean> {
    const state = await this.#store.load().catch(() => undefined);
    if (state === undefined) return false;
    const { revision, environments } = environmentsOf(state);
    const records = new Map(environments.map((record) => [record.name, record]));
    for (const [name, { record }] of [...this.#keeping]) {
      if (records.get(name)?.revision !== record.revision) this.#drop(name);
    }
    for (const record of environments) {
      if (record.keepContexts && !this.#keeping.has(record.name)) this.#begin(record);
    }
    this.#moved(revision);
    return true;
  }

  #apply({ changes, revision }: HistoryEntry): void {
    for (const { before, after } of changes) {
      const [was, is] = [before, after].map((record) =>
        record?.kind.case === "environment" ? record.kind.value : undefined,
      );
      const name = (is ?? was)?.name;
      if (name !== undefined) this.#change(name, is);
    }
    this.#moved(revision);
  }

  #change(name: string, record: Environment | undefined): void {
    const keeping = this.#keeping.get(name);
    if (record === undefined || !record.keepContexts) {
      this.#drop(name);
    } else if (keeping === undefined || addsPrivate(keeping.record, record)) {
      this.#drop(name);
      this.#begin(record);
    } else {
      keeping.record = record;
      this.#noteScope(keeping);
    }
  }

  #begin(record: Environment): void {
    const begun = record.revision;
    const keeping = { record, begun, sinceMs: this.#clock.now(), contexts: new EnvironmentContexts(begun) };
    this.#keeping.set(record.name, keeping);
    this.#noteScope(keeping);
  }

  #noteScope({ record, begun, sinceMs }: Keeping): void {
    const scope: Scope = { epoch: this.#store.epoch, begun, revision: record.revision, sinceMs };
    this.#writer.note(toScopeRow(record.name, scope));
  }

  #drop(name: string): void {
    const keeping = this.#keeping.get(name);
    if (keeping === undefined) return;
    this.#keeping.delete(name);
    this.#writer.note([scopeKey(name), undefined]);
    for (const place of keeping.contexts.places()) this.#writer.note([placeKey(name, place), undefined]);
    this.#writer.hurry();
  }

  #moved(revision: bigint): void {
    this.#revision = revision;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #end(): void {
    this.#hasEnded = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when everything is followed that is durable now. */
  async #caughtUp(): Promise<void> {
    const { newest } = this.#store.edges();
    while (this.#revision < newest && !this.#hasEnded) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** From when on what was collected counts. Without an end nothing would, of a clock that was ahead for a moment. */
function earliestOf(keeping: Keeping, nowMs: number): number {
  const { sinceMs, setBackMs = nowMs } = keeping;
  const isSetBack = nowMs < sinceMs;
  keeping.setBackMs = isSetBack ? Math.min(setBackMs, nowMs) : undefined;
  return keeping.setBackMs ?? sinceMs;
}

function addsPrivate(before: Environment, after: Environment): boolean {
  return after.privateAttributes.some((name) => !before.privateAttributes.includes(name));
}
