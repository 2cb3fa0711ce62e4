import {
  type EvaluationContext,
  InvalidContextError,
  type JsonValue,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
} from "@openfeature/web-sdk";
import { messageOf } from "./call-error.js";
import { ConnectClient } from "./connect-client.js";
import { type ContextJson, toContextJson } from "./context-json.js";
import { EvaluationSession, type SessionListener } from "./evaluation-session.js";
import { textOf } from "./json.js";
import { type FlagQuestion, failed, resolveAnswer } from "./resolve-answer.js";
import { ValueCache } from "./value-cache.js";
import type { WebProviderOptions } from "./web-provider-options.js";
import { resolveWebOptions, type WebSettings } from "./web-settings.js";

/**
 * Flagwire for `@openfeature/web-sdk`: the server evaluates all flags for one context, and sends what changes. No rule ever
 * reaches the page. Values are given for the context that they were evaluated for, and for no other subject's.
 */
export class FlagwireWebProvider implements Provider {
  readonly metadata = { name: "flagwire-web" };
  readonly runsOn = "client";
  /** It has one context: two domains need two providers. */
  readonly domainScoped = true;
  readonly events = new OpenFeatureEventEmitter();
  readonly #settings: WebSettings;
  readonly #client: ConnectClient;
  readonly #cache: ValueCache;
  #session: EvaluationSession | undefined;

  /** Throws a `TypeError` for an address or a time that is none, and where there is no address and no page. */
  constructor(options: WebProviderOptions = {}) {
    this.#settings = resolveWebOptions(options);
    this.#client = new ConnectClient(this.#settings);
    this.#cache = new ValueCache(this.#settings.storage);
  }

  /** Rejects where there is no value to give, also none that was stored; then it becomes ready by itself. */
  initialize(context: EvaluationContext = {}): Promise<void> {
    return this.#begin(context);
  }

  onContextChange(_old: EvaluationContext, context: EvaluationContext): Promise<void> {
    return this.#begin(context);
  }

  async onClose(): Promise<void> {
    this.#session?.close();
    this.#session = undefined;
  }

  resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
  ): ResolutionDetails<boolean> {
    return this.#resolve({ flagKey, type: "boolean", defaultValue }, context);
  }

  resolveStringEvaluation(
    flagKey: string,
    defaultValue: string,
    context: EvaluationContext,
  ): ResolutionDetails<string> {
    return this.#resolve({ flagKey, type: "string", defaultValue }, context);
  }

  resolveNumberEvaluation(
    flagKey: string,
    defaultValue: number,
    context: EvaluationContext,
  ): ResolutionDetails<number> {
    return this.#resolve({ flagKey, type: "number", defaultValue }, context);
  }

  resolveObjectEvaluation<T extends JsonValue>(
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
  ): ResolutionDetails<T> {
    return this.#resolve({ flagKey, type: "object", defaultValue }, context);
  }

  async #begin(context: EvaluationContext): Promise<void> {
    const before = this.#session;
    const json = this.#toContext(context);
    if (before !== undefined && JSON.stringify(before.context) === JSON.stringify(json)) return before.again();
    // Without a key, anybody may be meant.
    const isSameSubject = json.targetingKey !== "" && before?.context.targetingKey === json.targetingKey;
    const session = new EvaluationSession({
      settings: this.#settings,
      client: this.#client,
      cache: this.#cache,
      context: json,
      held: isSameSubject ? before?.values : undefined,
      listener: this.#listener,
    });
    this.#session = session;
    before?.close(session.started);
    session.open();
    return session.started;
  }

  #toContext(context: EvaluationContext): ContextJson {
    try {
      return toContextJson(context);
    } catch (thrown) {
      void this.onClose();
      throw new InvalidContextError(`the context is no JSON: ${messageOf(thrown)}`);
    }
  }

  #resolve<T extends JsonValue>(question: FlagQuestion<T>, context: EvaluationContext): ResolutionDetails<T> {
    const { values, doubt, context: evaluated } = this.#session ?? {};
    const { environment } = this.#settings;
    // A provider that an older SDK shares between domains is asked for several.
    if (values === undefined || evaluated?.targetingKey !== textOf(context.targetingKey)) {
      return failed(question.defaultValue, "PROVIDER_NOT_READY", "there are no values for this context yet");
    }
    return resolveAnswer(question, { ...values, environment, doubt });
  }

  readonly #listener: SessionListener = {
    changed: (flagsChanged) => this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged }),
    ready: () => this.events.emit(ProviderEvents.Ready),
    stale: (message) => this.events.emit(ProviderEvents.Stale, { message }),
  };
}
