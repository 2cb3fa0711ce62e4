import { ProviderFatalError, ProviderNotReadyError } from "@openfeature/web-sdk";
import type { StopTimer } from "../base/index.js";
import { CallError } from "./call-error.js";
import type { ConnectClient } from "./connect-client.js";
import type { ContextJson } from "./context-json.js";
import { EvaluationLink, type LinkListener } from "./evaluation-link.js";
import { type AnswerUpdate, changedKeys, type FlagValues, updated } from "./flag-answers.js";
import type { Doubt } from "./resolve-answer.js";
import type { ValueCache, ValueScope } from "./value-cache.js";
import type { WebSettings } from "./web-settings.js";

/** What a session tells once it has started. */
export interface SessionListener {
  /** Other answers; the keys of the flags, sorted. */
  changed(flagKeys: string[]): void;
  /** The answers are the server's again. */
  ready(): void;
  stale(message: string): void;
}

export interface SessionParts {
  readonly settings: WebSettings;
  readonly client: ConnectClient;
  readonly cache: ValueCache;
  readonly context: ContextJson;
  /** Values of another context of the same subject, to be given until there are others. */
  readonly held: FlagValues | undefined;
  readonly listener: SessionListener;
}

/**
 *     starting ──update──▶ current ──lost for long──▶ doubted ──update──▶ current
 *     starting ──out of reach, values stored──▶ doubted
 *     starting ──out of reach, none stored──▶ empty ──update──▶ current        any ──close──▶ closed
 *
 * While it is starting it gives what it has, which nobody asks for before the SDK is ready.
 */
type Standing = "starting" | "current" | "doubted" | "empty" | "closed";

/** The answers for one context, from its start until there is another. */
export class EvaluationSession implements LinkListener {
  /**
   * Resolves when there are answers for this context. Rejects with a `ProviderNotReadyError` where there are none for now, with
   * a `ProviderFatalError` where the server refuses; it goes on trying.
   */
  readonly started: Promise<void>;
  readonly #parts: SessionParts;
  readonly #scope: ValueScope;
  readonly #link: EvaluationLink;
  #resolve: (outcome: void | Promise<void>) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #standing: Standing = "starting";
  #values: FlagValues | undefined;
  #doubt: Doubt;
  readonly #isStored: boolean;
  /** Why there is nothing of the server's, as it was said last; undefined since something has come. */
  #problem: CallError | undefined;
  /** Of `starting` and `doubted`, and of `current` once the server was lost. */
  #stopTimer: StopTimer | undefined;
  #stopListening: (() => void) | undefined;

  constructor(parts: SessionParts) {
    const { settings, client, cache, context, held } = parts;
    const { baseUrl, environment, flagKeys, privateAttributes } = settings;
    this.#parts = parts;
    this.#scope = { baseUrl, environment, flagKeys, context };
    this.started = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const stored = cache.load(this.#scope);
    this.#isStored = stored !== undefined;
    this.#values = stored ?? held;
    this.#doubt = this.#isStored ? "CACHED" : "STALE";
    const request = { environment, flagKeys, context: { ...context, privateAttributes } };
    this.#link = new EvaluationLink({ settings, client, request, listener: this });
  }

  get context(): ContextJson {
    return this.#parts.context;
  }

  /** Undefined: there are none that may be given. */
  get values(): FlagValues | undefined {
    return this.#values;
  }

  get doubt(): Doubt {
    return this.#doubt;
  }

  open(): void {
    const { settings } = this.#parts;
    const { initTimeoutMs, fallbackAfterMs } = settings.times;
    const afterMs = this.#isStored ? fallbackAfterMs : initTimeoutMs;
    this.#after(afterMs, () => this.#fallBack(new CallError("silent", `no answer for ${afterMs} ms`)));
    this.#stopListening = settings.onOnline(() => this.#link.hurry());
    this.#link.open();
  }

  /** `next` is what has taken its place: who still waits for this one waits for that. */
  close(next?: Promise<void>): void {
    if (this.#standing === "starting") {
      if (next === undefined) this.#reject(new ProviderNotReadyError("the provider was closed"));
      else this.#resolve(next);
    }
    this.#standing = "closed";
    this.#values = undefined;
    this.#stopTimer?.();
    this.#stopListening?.();
    this.#link.close();
  }

  /** The same context was set again: the SDK takes whoever it hears nothing else of for ready. */
  again(): Promise<void> {
    if (this.#standing === "current") return Promise.resolve();
    if (this.#standing !== "doubted") return this.started;
    this.#after(0, () => this.#becomeStale());
    return Promise.resolve();
  }

  update(update: AnswerUpdate): void {
    const { cache, listener } = this.#parts;
    const standing = this.#standing;
    const before = this.#values;
    const after = updated(before, update);
    const keys = before === undefined ? [] : changedKeys(before.answers, after.answers);
    this.#stopTimer?.();
    this.#problem = undefined;
    this.#standing = "current";
    this.#values = after;
    this.#doubt = undefined;
    if (standing === "starting" || before === undefined || keys.length > 0) cache.save(this.#scope, after);
    if (standing === "starting") {
      this.#resolve();
      return;
    }
    if (keys.length > 0) listener.changed(keys);
    // Whoever was told may have closed this.
    if (standing !== "current" && this.#standing === "current") listener.ready();
  }

  lost(error: CallError): void {
    const isNew = this.#problem === undefined;
    // The newest tells most: a stream that was cut off says nothing of why there is no other.
    this.#problem = error;
    if (this.#standing === "starting") this.#fallBack(error);
    else if (this.#standing === "current" && isNew) {
      this.#after(this.#parts.settings.times.staleAfterMs, () => this.#becomeStale());
    }
  }

  /** The server is out of reach at the start. */
  #fallBack(error: CallError): void {
    this.#stopTimer?.();
    this.#problem = error;
    if (this.#isStored) {
      this.#standing = "doubted";
      this.#resolve();
      // The SDK takes whoever has started for ready, and is to hear of this after that.
      this.#after(0, () => this.#becomeStale());
    } else {
      this.#standing = "empty";
      this.#values = undefined;
      const message = describe(this.#scope.baseUrl, error);
      // Time alone mends what goes wrong on the way to a server. It mends no refusal.
      this.#reject(error.isRefusal ? new ProviderFatalError(message) : new ProviderNotReadyError(message));
    }
  }

  #becomeStale(): void {
    this.#standing = "doubted";
    if (this.#problem !== undefined) this.#parts.listener.stale(describe(this.#scope.baseUrl, this.#problem));
  }

  /** One timer at a time, whichever was set last. */
  #after(delayMs: number, action: () => void): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#parts.settings.clock.after(delayMs, action);
  }
}

function describe(baseUrl: string, { message }: CallError): string {
  return `${baseUrl}: ${message}`;
}
