import type { Context } from "../../engine/index.js";
import { fromContextText, likenessOf, toContextText } from "./context-form.js";
import type { PlacedContext } from "./context-rows.js";
import type { KeptContext } from "./kept-contexts.js";

/** See Environment.keep_contexts. */
export const MAX_KEPT_CONTEXTS = 1_000;

/** What is kept of one environment, in memory. */
export class EnvironmentContexts {
  /** See Scope. */
  readonly #begun: bigint;
  /** By what makes contexts alike, in the order in which they were kept. */
  readonly #contexts = new Map<string, PlacedContext>();
  readonly #freePlaces: number[];

  constructor(begun: bigint) {
    this.#begun = begun;
    this.#freePlaces = Array.from({ length: MAX_KEPT_CONTEXTS }, (_, index) => MAX_KEPT_CONTEXTS - 1 - index);
  }

  /** Takes over what was kept before, the oldest first, as far as it belongs here. Returns the places of the rest. */
  restore(contexts: readonly PlacedContext[]): readonly number[] {
    const taken = new Set<number>();
    const rest: number[] = [];
    for (const placed of contexts) {
      const { begun, text, place } = placed;
      const likeness = likenessOf(fromContextText(text), text);
      const belongs = begun === this.#begun && place < MAX_KEPT_CONTEXTS && !this.#contexts.has(likeness);
      if (belongs) {
        this.#contexts.set(likeness, placed);
        taken.add(place);
      } else rest.push(place);
    }
    const free = this.#freePlaces.filter((place) => !taken.has(place));
    this.#freePlaces.splice(0, MAX_KEPT_CONTEXTS, ...free);
    return rest;
  }

  /** Puts one in the place of one like it, else in a free one, else in that of the oldest. Undefined: it is too large. */
  put(context: Context, keptMs: number): PlacedContext | undefined {
    const text = toContextText(context);
    if (text === undefined) return undefined;
    const likeness = likenessOf(context, text);
    const placed = { place: this.#takePlace(likeness), begun: this.#begun, text, keptMs };
    this.#contexts.set(likeness, placed);
    return placed;
  }

  get size(): number {
    return this.#contexts.size;
  }

  newestFirst(): KeptContext[] {
    return [...this.#contexts.values()]
      .reverse()
      .map(({ text, keptMs }) => ({ context: fromContextText(text), keptMs }));
  }

  places(): number[] {
    return [...this.#contexts.values()].map(({ place }) => place);
  }

  #takePlace(likeness: string): number {
    const known = this.#contexts.get(likeness);
    const free = known === undefined ? this.#freePlaces.pop() : known.place;
    this.#contexts.delete(likeness);
    if (free !== undefined) return free;
    for (const [oldest, { place }] of this.#contexts) {
      this.#contexts.delete(oldest);
      return place;
    }
    return 0;
  }
}
