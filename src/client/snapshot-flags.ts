import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Clock } from "../base/index.js";
import {
  type CompiledFlag,
  type Context,
  type CountedOutcome,
  type ExplainOptions,
  explain,
  type JsonValue,
} from "../engine/index.js";
import { type ContextSamples, noSamples } from "./context-samples.js";
import { type EvaluationDetails, type Explanation, errorDetails, toDetails, typeMismatch } from "./details.js";
import type { SnapshotSource } from "./follower.js";
import type { Flags } from "./mirror-api.js";
import { ownPart } from "./own-part.js";
import { NO_LIST_OF_NAMES, parseExplainOptions } from "./private-attributes.js";

const NO_CONTEXT: Context = Object.freeze({});

/** Answers from the snapshot that its source has at the time. */
export class SnapshotFlags implements Flags {
  readonly #source: SnapshotSource;
  readonly #clock: Clock;

  /** See MirrorOptions. */
  readonly #privateAttributes: readonly string[];
  readonly #newest: SnapshotSource;
  readonly #samples: ContextSamples;

  /** `newest` knows what is private in the environment by now; the source itself, where that moves on. */
  constructor(
    source: SnapshotSource,
    clock: Clock,
    privateAttributes: readonly string[],
    newest = source,
    samples: ContextSamples = noSamples,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#privateAttributes = privateAttributes;
    this.#newest = newest;
    this.#samples = samples;
  }

  get revision(): number {
    return Number(this.#source.snapshot.position.revision);
  }

  keys(): string[] {
    return this.#source.snapshot.flags().map(({ key }) => key);
  }

  boolean(key: string, defaultValue: boolean, context?: Context): boolean {
    const value = this.#value(key, FlagType.BOOLEAN, context);
    return value === undefined ? defaultValue : (value as boolean);
  }

  string(key: string, defaultValue: string, context?: Context): string {
    const value = this.#value(key, FlagType.STRING, context);
    return value === undefined ? defaultValue : (value as string);
  }

  number(key: string, defaultValue: number, context?: Context): number {
    const value = this.#value(key, FlagType.NUMBER, context);
    return value === undefined ? defaultValue : (value as number);
  }

  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T {
    const value = this.#value(key, FlagType.OBJECT, context);
    return value === undefined ? defaultValue : (value as T);
  }

  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T> {
    const { snapshot, hasData } = this.#source;
    const revision = Number(snapshot.position.revision);
    if (!hasData) return notReady(key, defaultValue, revision);
    try {
      const flag = snapshot.flag(key);
      if (flag === undefined) return notFound(key, defaultValue, revision);
      const outcome = this.#select(flag, context);
      const details = checkedDetails(flag, outcome, defaultValue, revision);
      if (details.errorCode !== "TYPE_MISMATCH") outcome.tally.count++;
      return details;
    } catch {
      return threw(key, defaultValue, revision);
    }
  }

  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Explanation<T> {
    const { snapshot, hasData } = this.#source;
    const revision = Number(snapshot.position.revision);
    const hidden = parseExplainOptions(options);
    if (hidden === undefined) {
      return { ...errorDetails(key, defaultValue, "GENERAL", NO_LIST_OF_NAMES, revision), trace: undefined };
    }
    if (!hasData) return { ...notReady(key, defaultValue, revision), trace: undefined };
    try {
      const flag = snapshot.flag(key);
      if (flag === undefined) return { ...notFound(key, defaultValue, revision), trace: undefined };
      const now = this.#clock.now();
      const asked = ownPart(context ?? NO_CONTEXT);
      const details = checkedDetails(flag, flag.select(asked, now), defaultValue, revision);
      const environments = this.#newest.snapshot.privateAttributes;
      const privateAttributes = [...environments, ...this.#privateAttributes, ...hidden];
      return { ...details, trace: explain(flag, asked, now, { privateAttributes }) };
    } catch {
      return { ...threw(key, defaultValue, revision), trace: undefined };
    }
  }

  /** Nothing of the engine throws, but what it reads of the context may. Perhaps only what does not count, being inherited. */
  #select(flag: CompiledFlag, context: Context | undefined): CountedOutcome {
    const asked = context ?? NO_CONTEXT;
    if (this.#samples.isWanted) this.#samples.add(asked);
    const now = flag.usesNow ? this.#clock.now() : 0;
    try {
      return flag.select(asked, now);
    } catch {
      return flag.select(ownPart(asked), now);
    }
  }

  #value(key: string, type: FlagType, context: Context | undefined): JsonValue | undefined {
    const flag = this.#source.snapshot.flag(key);
    if (flag === undefined || flag.type !== type) return undefined;
    try {
      const outcome = this.#select(flag, context);
      outcome.tally.count++;
      return outcome.value;
    } catch {
      return undefined;
    }
  }
}

function notReady<T>(key: string, defaultValue: T, revision: number): EvaluationDetails<T> {
  return errorDetails(key, defaultValue, "PROVIDER_NOT_READY", "no flags came from the server yet", revision);
}

function notFound<T>(key: string, defaultValue: T, revision: number): EvaluationDetails<T> {
  return errorDetails(key, defaultValue, "FLAG_NOT_FOUND", `there is no flag ${key}`, revision);
}

function threw<T>(key: string, defaultValue: T, revision: number): EvaluationDetails<T> {
  return errorDetails(key, defaultValue, "GENERAL", "the context or the key threw while it was read", revision);
}

function checkedDetails<T>(
  flag: CompiledFlag,
  outcome: CountedOutcome,
  defaultValue: T,
  revision: number,
): EvaluationDetails<T> {
  // Without a value nothing is of the wrong type, and the outcome says more.
  const mismatch = outcome.value === undefined ? undefined : typeMismatch(flag.key, flag.type, defaultValue);
  if (mismatch !== undefined) return errorDetails(flag.key, defaultValue, "TYPE_MISMATCH", mismatch, revision);
  return toDetails(outcome, defaultValue, revision);
}
