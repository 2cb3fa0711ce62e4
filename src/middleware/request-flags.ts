import type {
  Context,
  EvaluationDetails,
  ExplainOptions,
  Explanation,
  JsonValue,
  PinnedFlags,
} from "../client/index.js";
import { putOver } from "./put-over.js";

/** Where the flags of requests come from: a mirror. */
export interface FlagSource {
  pinned(): PinnedFlags;
}

/**
 * The flags of one request: bound to its context, and all of one revision, however they change meanwhile. The methods are a
 * mirror's, and never throw. The context that they take is put over the request's, attribute by attribute, for that answer.
 */
export interface RequestFlags {
  /** The request's; empty where there is none. */
  readonly context: Context;
  /** The context could not be built, so that it is empty. Rules take every answer for unknown then. */
  readonly hasFailedContext: boolean;
  /** The server's revision that the answers are of; 0 where no flags have come yet. */
  readonly revision: number;
  /** The keys of all flags, sorted: for those that pass them on, such as to a page. */
  keys(): string[];
  /** What was asked so far: the last answer of each flag, by key, in the order of the first question. */
  readonly evaluated: ReadonlyMap<string, EvaluationDetails<unknown>>;
  boolean(key: string, defaultValue: boolean, context?: Context): boolean;
  string(key: string, defaultValue: string, context?: Context): string;
  number(key: string, defaultValue: number, context?: Context): number;
  /** The value is frozen. That it has the default's shape is between you and the flag. */
  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T;
  /** An answer with its reasons. The default says which type is wanted; `undefined` takes any. */
  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T>;
  /** An answer with each step that led to it, as a mirror's: it is not counted, nor among what was `evaluated`. */
  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Explanation<T>;
  /** The same context at the newest revision: for calls that last, such as streams, and should follow. `evaluated` starts anew. */
  latest(): RequestFlags;
}

/** What the flags of a request are made of. */
export interface RequestParts {
  readonly source: FlagSource;
  readonly context: Context;
  readonly hasFailedContext: boolean;
}

/** Those of the same source that a request has already give the new ones their revision, and what was asked of them. */
export function createRequestFlags(parts: RequestParts, earlier?: RequestFlags): RequestFlags {
  return earlier instanceof BoundFlags ? earlier.boundTo(parts) : new BoundFlags(parts);
}

/** A value of each type, to ask for the type with. */
const ASK = { boolean: false, string: "", number: 0, object: {} } as const;

class BoundFlags implements RequestFlags {
  readonly #parts: RequestParts;
  readonly #pinned: PinnedFlags;
  readonly #evaluated: Map<string, EvaluationDetails<unknown>>;

  constructor(parts: RequestParts, pinned = parts.source.pinned(), evaluated = new Map()) {
    this.#parts = parts;
    this.#pinned = pinned;
    this.#evaluated = evaluated;
  }

  boundTo(parts: RequestParts): BoundFlags {
    return parts.source === this.#parts.source
      ? new BoundFlags(parts, this.#pinned, this.#evaluated)
      : new BoundFlags(parts);
  }

  get context(): Context {
    return this.#parts.context;
  }

  get hasFailedContext(): boolean {
    return this.#parts.hasFailedContext;
  }

  get revision(): number {
    return this.#pinned.revision;
  }

  get evaluated(): ReadonlyMap<string, EvaluationDetails<unknown>> {
    return this.#evaluated;
  }

  keys(): string[] {
    return this.#pinned.keys();
  }

  boolean(key: string, defaultValue: boolean, context?: Context): boolean {
    return this.#value(key, ASK.boolean, defaultValue, context);
  }

  string(key: string, defaultValue: string, context?: Context): string {
    return this.#value(key, ASK.string, defaultValue, context);
  }

  number(key: string, defaultValue: number, context?: Context): number {
    return this.#value(key, ASK.number, defaultValue, context);
  }

  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T {
    return this.#value<JsonValue>(key, ASK.object, defaultValue, context) as T;
  }

  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T> {
    const details = this.#pinned.details(key, defaultValue, this.#with(context));
    this.#evaluated.set(key, details);
    return details;
  }

  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Explanation<T> {
    return this.#pinned.explain(key, defaultValue, this.#with(context), options);
  }

  latest(): RequestFlags {
    return new BoundFlags(this.#parts);
  }

  /** The method says which type is wanted, not the default, as in a mirror: JavaScript may leave that out. */
  #value<T>(key: string, asked: T, defaultValue: T, context: Context | undefined): T {
    const details = this.#pinned.details(key, asked, this.#with(context));
    const answer = details.variant === undefined ? { ...details, value: defaultValue } : details;
    this.#evaluated.set(key, answer);
    return answer.value;
  }

  #with(context: Context | undefined): Context {
    const { context: own } = this.#parts;
    return typeof context === "object" && context !== null ? putOver(own, context) : own;
  }
}
