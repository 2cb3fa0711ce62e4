import type { Context as ContextMessage } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Random, Reservoir } from "../base/index.js";
import { type Context, withoutPrivate } from "../engine/index.js";
import { TooManyMembers, toContextMessage } from "./remote-context.js";

/** Of a context that is worth sending, as JSON. Servers keep no larger ones. */
const MAX_BYTES = 4_096;
/** Servers refuse deeper ones, and longer lists: together with all others of the report. */
const BOUNDS = { maxDepth: 31, maxElements: 1_000, maxSize: MAX_BYTES };

const UTF8 = new TextEncoder();

/**
 * Some of the contexts that a mirror evaluates, uniformly, as the server wants them: for each environment that keeps contexts.
 * Where it wants none, an evaluation costs a look at `isWanted`.
 */
export class ContextSamples {
  /** Whether to tell of evaluations at all. */
  isWanted = false;
  readonly #random: Random;
  readonly #privateAttributes: () => readonly string[];
  #size = 0;
  /** One that is too large, or cannot be read, counts too: it must not be tried again and again. */
  #reservoir: Reservoir<Context | undefined>;

  /** `privateAttributes`: what must not be told at the time. */
  constructor(random: Random, privateAttributes: () => readonly string[]) {
    this.#random = random;
    this.#privateAttributes = privateAttributes;
    this.#reservoir = new Reservoir(1, random);
  }

  /** Collects so many from now on. 0: none, and what was collected is dropped. */
  want(count: number): void {
    if (count === this.#size) return;
    this.#size = count;
    this.#begin();
  }

  /**
   * A flag was evaluated for a context. Never throws. One that takes long even to be found too large is the last until the next time:
   * where there is one there are more, and evaluations must not wait for them.
   */
  add(context: Context): void {
    if (!this.#reservoir.takes()) return;
    const sample = toSample(context, this.#privateAttributes());
    if (sample instanceof TooManyMembers) this.isWanted = false;
    else this.#reservoir.put(sample);
  }

  /** Those since the last time, none twice. What has become private meanwhile is left out too. */
  take(): ContextMessage[] {
    const privateAttributes = this.#privateAttributes();
    const taken = new Map<string, Context>();
    for (const sample of this.#reservoir.items) {
      if (sample === undefined) continue;
      const context = withoutPrivate(sample, privateAttributes);
      taken.set(likenessOf(context), context);
    }
    this.#begin();
    return [...taken.values()].map((context) => toContextMessage(context));
  }

  #begin(): void {
    this.isWanted = this.#size > 0;
    this.#reservoir = new Reservoir(Math.max(1, this.#size), this.#random);
  }
}

/** Nobody wants any, ever. */
export const noSamples = new ContextSamples(
  () => 0,
  () => [],
);

/** A copy in JSON. Undefined for what no server would keep, and where reading the context throws. */
function toSample(context: Context, privateAttributes: readonly string[]): Context | TooManyMembers | undefined {
  try {
    const { targetingKey, attributes } = toContextMessage(withoutPrivate(context, privateAttributes), BOUNDS);
    if (targetingKey.length > MAX_BYTES) return undefined;
    const sample: Context = targetingKey === "" ? { ...attributes } : { ...attributes, targetingKey };
    return UTF8.encode(JSON.stringify(sample)).length > MAX_BYTES ? undefined : sample;
  } catch (thrown) {
    return thrown instanceof TooManyMembers ? thrown : undefined;
  }
}

/** Two of one subject are alike; of two without a targeting key, those that hold the same. */
function likenessOf(context: Context): string {
  return context.targetingKey ?? JSON.stringify(context);
}
