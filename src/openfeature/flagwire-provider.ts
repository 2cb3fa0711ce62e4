import {
  ErrorCode,
  type EvaluationContext,
  type JsonValue,
  type OpenFeatureEventEmitter,
  type Provider,
  type ResolutionDetails,
  StandardResolutionReasons,
  type TrackingEventDetails,
} from "@openfeature/server-sdk";
import type { Mirror } from "../client/index.js";
import { Following } from "./following.js";
import { type FollowedMirrorOptions, lentMirror, type MirrorSource, openedMirrors } from "./mirror-source.js";
import { toResolutionDetails } from "./resolution-details.js";
import { UnlimitedEvents } from "./unlimited-events.js";

/** What a provider does beside evaluating. */
export interface FlagwireProviderOptions {
  /**
   * Told what the application tracks, with the context as the SDK has merged it. Default nobody. What it throws, at once or
   * later, is lost: it must not disturb the application.
   */
  readonly onTrack?: (eventName: string, context: EvaluationContext, details: TrackingEventDetails) => unknown;
}

/**
 * An OpenFeature provider on a mirror: evaluates with no network, and never rejects. It may be bound to any number of
 * domains; for several environments, take a provider for each.
 *
 * Given options, it opens a mirror when it is initialized and closes it with `onClose`. Given a mirror, it leaves closing to
 * whoever opened it.
 */
export class FlagwireProvider implements Provider {
  readonly metadata = { name: "flagwire" } as const;
  readonly runsOn = "server";
  readonly events: OpenFeatureEventEmitter = new UnlimitedEvents();
  readonly #source: MirrorSource;
  readonly #options: FlagwireProviderOptions;
  /** The last one: it answers after closing too. */
  #following: Following | undefined;
  #isOpen = false;
  #closing: Promise<void> = Promise.resolve();

  /** Throws a `TypeError` for what is neither options nor a mirror. */
  constructor(source: FollowedMirrorOptions | Mirror = {}, options: FlagwireProviderOptions = {}) {
    if (typeof source !== "object" || source === null) {
      throw new TypeError('a FlagwireProvider takes options, such as { address: "127.0.0.1:8013" }, or a mirror');
    }
    this.#source = isMirror(source) ? lentMirror(source) : openedMirrors(source);
    this.#options = options;
  }

  /**
   * Resolves when there is something to answer with: the first flags, or those of a cache or bootstrap. Rejects with a
   * `ProviderFatalError` where the server refuses or the options cannot be right, and with a `ProviderNotReadyError` where
   * it cannot be reached. After a refusal and without a connection it goes on trying, and an event tells when it is ready.
   *
   * It may be called again after `onClose`.
   */
  initialize(): Promise<void> {
    if (this.#following === undefined || !this.#isOpen) {
      this.#following = new Following(this.#source, this.events, this.#closing);
      this.#isOpen = true;
    }
    return this.#following.opened;
  }

  /** Answers stay what they were. */
  onClose(): Promise<void> {
    if (this.#following !== undefined && this.#isOpen) {
      this.#isOpen = false;
      this.#closing = this.#following.close();
    }
    return this.#closing;
  }

  async resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    return this.#resolve(flagKey, false, defaultValue, context);
  }

  async resolveStringEvaluation(
    flagKey: string,
    defaultValue: string,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<string>> {
    return this.#resolve(flagKey, "", defaultValue, context);
  }

  async resolveNumberEvaluation(
    flagKey: string,
    defaultValue: number,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<number>> {
    return this.#resolve(flagKey, 0, defaultValue, context);
  }

  async resolveObjectEvaluation<T extends JsonValue>(
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<T>> {
    return this.#resolve(flagKey, NO_OBJECT, defaultValue, context);
  }

  track(eventName: string, context: EvaluationContext, details: TrackingEventDetails): void {
    const { onTrack } = this.#options;
    if (onTrack === undefined) return;
    void (async () => onTrack(eventName, context, details))().catch(() => {});
  }

  /** `sample` says which type is wanted. The default cannot: of an object it may be any JSON value. */
  #resolve<T>(flagKey: string, sample: unknown, defaultValue: T, context: EvaluationContext): ResolutionDetails<T> {
    const mirror = this.#following?.mirror;
    if (mirror === undefined) {
      return {
        value: defaultValue,
        reason: StandardResolutionReasons.ERROR,
        errorCode: ErrorCode.PROVIDER_NOT_READY,
        errorMessage: "no flags came from the server yet",
      };
    }
    return toResolutionDetails(mirror.details(flagKey, sample, context), defaultValue, mirror.environment);
  }
}

function isMirror(source: FollowedMirrorOptions | Mirror): source is Mirror {
  return "details" in source;
}

const NO_OBJECT = Object.freeze({});
