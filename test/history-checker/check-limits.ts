/** What a run was promised, beyond what always holds. */
export interface CheckLimits {
  /** How many further transactions an idempotency key is kept for. */
  readonly keptIdempotencyKeys: number;
  /** How long an unhindered stream may take to its first message, and be silent then. */
  readonly firstMessageMs: number;
  readonly heartbeatMs: number;
  /** How long a position that is still to come is waited for at least, before everything is sent in its place. */
  readonly catchUpMs: number;
  /** How long a change may take from being durable to an unhindered stream. */
  readonly changeMs: number;
}

/** As docs and proto promise them; nothing is promised of how fast a change is. */
export const PROMISED_LIMITS: CheckLimits = {
  keptIdempotencyKeys: 100_000,
  firstMessageMs: 1_000,
  heartbeatMs: 15_000,
  // Half a second, less what clocks may be apart.
  catchUpMs: 450,
  changeMs: Number.POSITIVE_INFINITY,
};
