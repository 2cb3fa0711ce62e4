import type { Clock } from "../../base/index.js";

export interface RateBucketsOptions {
  /** Above 0. As many, one at least, may come at once. */
  readonly perSecond: number;
  readonly clock: Clock;
  /** How many clients are remembered; those that asked last. Default 10,000. */
  readonly maxClients?: number;
}

/**
 * A bucket of tokens for each client, kept as one number: when it would be full again. A client that is forgotten begins with
 * a full one.
 */
export class RateBuckets {
  readonly #fullAtMs = new Map<string, number>();
  readonly #intervalMs: number;
  readonly #burstMs: number;
  readonly #clock: Clock;
  readonly #maxClients: number;

  constructor({ perSecond, clock, maxClients = 10_000 }: RateBucketsOptions) {
    this.#intervalMs = 1_000 / perSecond;
    this.#burstMs = Math.max(1_000, this.#intervalMs);
    this.#clock = clock;
    this.#maxClients = maxClients;
  }

  /** Takes a request of a client. Gives how long it must wait, in milliseconds: 0 if it need not. */
  take(client: string): number {
    const nowMs = this.#clock.monotonicMs();
    const fullAtMs = Math.max(nowMs, this.#fullAtMs.get(client) ?? 0) + this.#intervalMs;
    const waitMs = fullAtMs - nowMs - this.#burstMs;
    // Thousandths of a token are what adding up rounds.
    if (waitMs > this.#intervalMs / 1_000) return waitMs;
    this.#remember(client, fullAtMs);
    return 0;
  }

  #remember(client: string, fullAtMs: number): void {
    this.#fullAtMs.delete(client);
    this.#fullAtMs.set(client, fullAtMs);
    if (this.#fullAtMs.size <= this.#maxClients) return;
    const [oldest] = this.#fullAtMs.keys();
    if (oldest !== undefined) this.#fullAtMs.delete(oldest);
  }
}
