import {
  ErrorCode,
  type EventMetadata,
  type OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderNotReadyError,
} from "@openfeature/server-sdk";
import type { Mirror, MirrorError, MirrorErrorKind, Unsubscribe } from "../client/index.js";
import { isWorthTrying, toInitializationError } from "./initialization-error.js";
import type { MirrorSource } from "./mirror-source.js";

/**
 * How the SDK sees a provider. `ready` and `stale` answer; `not-ready` and `fatal` have never been in step with the server
 * since initialization, and differ in whether the server was last heard to refuse.
 */
type Standing = "ready" | "stale" | "not-ready" | "fatal";

/**
 * A provider's mirror from one initialization to its closing, and what the SDK is told of it. Where nothing comes in time,
 * initialization fails, and the mirror goes on trying.
 */
export class Following {
  /** The initialization. Rejects with an error that gives the provider the right status. */
  readonly opened: Promise<void>;
  readonly #source: MirrorSource;
  readonly #events: OpenFeatureEventEmitter;
  readonly #abort = new AbortController();
  readonly #unsubscribes: Unsubscribe[] = [];
  #mirror: Mirror | undefined;
  #trying: Promise<void> = Promise.resolve();
  #told: Standing = "not-ready";
  #isRefused = false;
  #lastError: { readonly message: string; readonly updates: number } | undefined;

  /** Begins when `before` is settled, which must not reject. */
  constructor(source: MirrorSource, events: OpenFeatureEventEmitter, before: Promise<void>) {
    this.#source = source;
    this.#events = events;
    this.opened = before.then(() => this.#open());
    // It may be closed before anybody looks.
    this.opened.catch(() => {});
  }

  /** Answers with what it has, also after closing. Undefined where there has never been one. */
  get mirror(): Mirror | undefined {
    return this.#mirror;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    await this.opened.catch(() => {});
    await this.#trying;
    await this.#source.release(this.#mirror);
  }

  async #open(): Promise<void> {
    try {
      this.#follow(await this.#source.open(this.#abort.signal));
    } catch (thrown) {
      if (this.#abort.signal.aborted)
        throw new ProviderNotReadyError("it was closed before it was ready", { cause: thrown });
      const error = toInitializationError(thrown);
      this.#isRefused = error.code === ErrorCode.PROVIDER_FATAL;
      this.#told = this.#isRefused ? "fatal" : "not-ready";
      if (isWorthTrying(thrown)) this.#trying = this.#keepTrying();
      throw error;
    }
    this.#told = "ready";
    // The SDK takes a provider that is initialized for ready. What is not in step with the server is told right after it.
    setImmediate(() => this.#tell());
  }

  /** Never rejects. */
  async #keepTrying(): Promise<void> {
    try {
      this.#follow(await this.#source.keepTrying(this.#abort.signal));
      // A cache that could not be loaded before may have given it something to answer with.
      this.#tell();
    } catch {
      // It was closed meanwhile.
    }
  }

  #follow(mirror: Mirror): void {
    this.#mirror = mirror;
    if (this.#abort.signal.aborted) return;
    this.#unsubscribes.push(
      mirror.on("ready", () => this.#tell()),
      mirror.on("stale", () => this.#tell()),
      mirror.on("error", (error) => this.#failed(error)),
      mirror.on("change", ({ keys }) => {
        const metadata = toEventMetadata(mirror);
        this.#events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [...keys], metadata });
      }),
    );
  }

  /** An error of a mirror that answers is none of the provider: the SDK would not leave that status until the next Ready. */
  #failed(error: MirrorError): void {
    if (!OF_THE_SERVER.has(error.kind)) return;
    this.#lastError = { message: error.message, updates: this.#updates };
    if (this.#told === "ready" || this.#told === "stale") return;
    this.#isRefused = error.kind === "refused";
    this.#tell();
  }

  /** Tells the SDK where the provider stands, if that is not what it was told last. */
  #tell(): void {
    if (this.#mirror === undefined || this.#abort.signal.aborted) return;
    const standing = this.#standing(this.#mirror);
    if (standing === this.#told) return;
    this.#told = standing;
    if (standing === "ready") this.#isRefused = false;
    const { event, ...said } = ANNOUNCEMENTS[standing];
    const message = standing === "ready" ? undefined : this.#trouble();
    this.#events.emit(event, { ...said, ...(message && { message }), metadata: toEventMetadata(this.#mirror) });
  }

  /** Why the provider is not ready. An error that an update has followed is mended. */
  #trouble(): string {
    const error = this.#lastError;
    return error?.updates === this.#updates ? error.message : "nothing is heard from the server";
  }

  get #updates(): number {
    if (this.#mirror === undefined) return 0;
    const { fulls, deltas, nones } = this.#mirror.counts;
    return fulls + deltas + nones;
  }

  #standing({ status }: Mirror): Standing {
    if (status === "ready") return "ready";
    if (this.#isRefused) return "fatal";
    return status === "connecting" ? "not-ready" : "stale";
  }
}

/** Which provider tells it: all of them have the same name. */
function toEventMetadata({ environment, revision }: Mirror): EventMetadata {
  return { environment, revision };
}

/** Errors that tell how the server was last found. */
const OF_THE_SERVER: ReadonlySet<MirrorErrorKind> = new Set(["refused", "connection", "silence", "protocol"]);

/** The SDK reads the status from the event, and FATAL from its error code. */
const ANNOUNCEMENTS = {
  ready: { event: ProviderEvents.Ready },
  stale: { event: ProviderEvents.Stale },
  "not-ready": { event: ProviderEvents.Error, errorCode: ErrorCode.PROVIDER_NOT_READY },
  fatal: { event: ProviderEvents.Error, errorCode: ErrorCode.PROVIDER_FATAL },
} as const satisfies { readonly [standing in Standing]: object };
