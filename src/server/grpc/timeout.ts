const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** At most eight digits and a unit: gRPC over HTTP2, "Timeout". */
const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/;

// A timer of Node's that is longer fires at once.
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The value of `grpc-timeout` in milliseconds, no longer than a timer can be; undefined where it is malformed. gRPC wants it
 * positive; clients whose deadline has passed send zero all the same, which means just that.
 */
export function parseTimeout(header: string): number | undefined {
  const [, digits, unit = ""] = TIMEOUT.exec(header) ?? [];
  const unitMs = UNIT_MS[unit];
  if (digits === undefined || unitMs === undefined) return undefined;
  return Math.min(Number(digits) * unitMs, MAX_TIMER_MS);
}
