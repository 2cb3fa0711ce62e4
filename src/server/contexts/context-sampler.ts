import { type Clock, type Random, Reservoir, type StopTimer } from "../../base/index.js";
import { type Context, type CountedOutcome, type Snapshot, withoutPrivate } from "../../engine/index.js";
import type { Head } from "../state/head.js";
import type { AnswerObserver } from "../usage/answer-observer.js";
import { toContextText } from "./context-form.js";
import type { KeptContexts } from "./kept-contexts.js";

/** How long a sample is taken of what passes. */
const INTERVAL_MS = 5_000;
/** Contexts of an environment that are kept of an interval. */
const MAX_SAMPLES = 50;

export interface ContextSamplerParts {
  readonly head: Pick<Head, "catalog" | "announcements">;
  readonly contexts: KeptContexts;
  readonly clock: Clock;
  readonly random: Random;
}

/** An environment that keeps contexts, as it is set at one revision of it. */
interface Sampled {
  readonly revision: bigint;
  /** One that is too large counts too: it must not be tried again and again. */
  reservoir: Reservoir<Context | undefined>;
  /** When the first of the interval came, in milliseconds since 1970. */
  sinceMs: number | undefined;
}

/**
 * Takes samples of the contexts that this process answers for, uniformly, where the environment keeps contexts. Of an interval in
 * which the environment was changed nothing is kept: it may have been switched off and on again.
 */
export class ContextSampler implements AnswerObserver {
  readonly #parts: ContextSamplerParts;
  readonly #sampled = new Map<string, Sampled>();
  readonly #unsubscribe: () => void;
  /** What passed last: the answers to one request come one after the other. */
  #context: Context | undefined;
  #snapshot: Snapshot | undefined;
  #stopTimer: StopTimer | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: ContextSamplerParts) {
    this.#parts = parts;
    this.#unsubscribe = parts.head.announcements.subscribe(() => this.#follow());
    this.#follow();
  }

  answered(_outcome: CountedOutcome, snapshot: Snapshot, context: Context): void {
    if (this.#sampled.size === 0 || (context === this.#context && snapshot === this.#snapshot)) return;
    this.#context = context;
    this.#snapshot = snapshot;
    const sampled = this.#sampled.get(snapshot.environment);
    if (sampled?.reservoir.takes()) this.#take(sampled, snapshot, context);
  }

  /** Keeps what was taken last. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#stopTimer?.();
    await this.#keeping;
    await this.#keep();
  }

  /** Goes by the settings of now. */
  #follow(): void {
    const { catalog } = this.#parts.head;
    const names = new Set(catalog.environmentNames());
    for (const name of this.#sampled.keys()) if (!names.has(name)) this.#sampled.delete(name);
    for (const name of names) {
      const { keepContexts = false, revision = 0n } = catalog.environment(name) ?? {};
      if (!keepContexts) this.#sampled.delete(name);
      else if (this.#sampled.get(name)?.revision !== revision) {
        this.#sampled.set(name, { revision, reservoir: this.#newReservoir(), sinceMs: undefined });
      }
    }
  }

  #take(sampled: Sampled, snapshot: Snapshot, context: Context): void {
    const sample = withoutPrivate(context, snapshot.privateAttributes);
    sampled.reservoir.put(toContextText(sample) === undefined ? undefined : sample);
    sampled.sinceMs ??= this.#parts.clock.now();
    if (this.#stopTimer !== undefined || this.#isClosed) return;
    this.#stopTimer = this.#parts.clock.after(INTERVAL_MS, () => {
      this.#stopTimer = undefined;
      this.#keeping = this.#keep();
    });
  }

  async #keep(): Promise<void> {
    this.#context = undefined;
    this.#snapshot = undefined;
    const { head, contexts } = this.#parts;
    for (const [name, sampled] of [...this.#sampled]) {
      const { sinceMs, reservoir, revision } = sampled;
      if (sinceMs === undefined) continue;
      sampled.reservoir = this.#newReservoir();
      sampled.sinceMs = undefined;
      const environment = head.catalog.environment(name);
      if (environment?.revision !== revision || !environment.keepContexts) continue;
      const samples = reservoir.items.filter((sample) => sample !== undefined);
      const kept = samples.map((sample) => withoutPrivate(sample, environment.privateAttributes));
      // The place where they are kept may be gone, in another process: then so is the service.
      await contexts.keep(name, kept, sinceMs).catch(() => undefined);
    }
  }

  #newReservoir(): Reservoir<Context | undefined> {
    return new Reservoir(MAX_SAMPLES, this.#parts.random);
  }
}
