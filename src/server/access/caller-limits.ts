import type { Clock } from "../../base/index.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import type { Identity } from "./identity.js";
import { RateBuckets } from "./rate-buckets.js";

/** Bounds on what may be asked for together, in each process: by holders of one token or of certificates of one name, or by all who have the role of callers with nothing. */
export interface CallerLimits {
  /** Calls a second; as many may come at once. 0: any number. Default 0. */
  readonly callsPerSecond: number;
  /** Streams at a time. 0: any number. Default 10,000. */
  readonly streams: number;
}

export const defaultCallerLimits: CallerLimits = { callsPerSecond: 0, streams: 10_000 };

/** How soon a stream may be free, in milliseconds: nobody can know. */
const STREAM_RETRY_MS = 5_000;

/** Holds callers to the limits. Where nothing is needed nobody has any: there is no telling callers apart. */
export class CallerMeter {
  readonly #streamLimit: number;
  readonly #rates: RateBuckets | undefined;
  readonly #streams = new Map<string, number>();

  constructor({ callsPerSecond, streams }: CallerLimits, clock: Clock) {
    this.#streamLimit = streams === 0 ? Number.POSITIVE_INFINITY : streams;
    this.#rates = callsPerSecond === 0 ? undefined : new RateBuckets({ perSecond: callsPerSecond, clock });
  }

  /** Counts a call; gives why it may not be made now. */
  refuseCall(identity: Identity): Refusal | undefined {
    const caller = this.#rates && callerOf(identity);
    const waitMs = caller === undefined ? 0 : (this.#rates?.take(caller) ?? 0);
    if (waitMs <= 0) return undefined;
    const message = `too many calls ${credentialOf(identity)}; try again in ${Math.ceil(waitMs / 1_000)} s`;
    return new Refusal("RESOURCE_EXHAUSTED", "CALL_RATE_EXCEEDED", message, { retryAfterMs: Math.ceil(waitMs) });
  }

  /** Counts a stream until the function that it gives is called, or says why it may not be opened now. */
  openStream(identity: Identity): OrRefusal<() => void> {
    const caller = callerOf(identity);
    if (caller === undefined) return () => undefined;
    const open = this.#streams.get(caller) ?? 0;
    if (open >= this.#streamLimit) {
      const message = `${open} streams are open ${credentialOf(identity)}, as many as there may be at a time`;
      return new Refusal("RESOURCE_EXHAUSTED", "STREAMS_EXCEEDED", message, { retryAfterMs: STREAM_RETRY_MS });
    }
    this.#streams.set(caller, open + 1);
    let isOpen = true;
    return () => {
      if (isOpen) this.#closeStream(caller);
      isOpen = false;
    };
  }

  #closeStream(caller: string): void {
    const left = (this.#streams.get(caller) ?? 1) - 1;
    if (left === 0) this.#streams.delete(caller);
    else this.#streams.set(caller, left);
  }
}

/** No token's id looks like the others here. */
function callerOf({ tokenId, certificateName, isAnonymous }: Identity): string | undefined {
  if (isAnonymous) return "without a token";
  return certificateName === undefined ? tokenId : `certificate ${certificateName}`;
}

function credentialOf({ certificateName, isAnonymous }: Identity): string {
  if (isAnonymous) return "without a token";
  return certificateName === undefined ? "with this token" : "with this client certificate";
}
