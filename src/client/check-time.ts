/** Throws a `TypeError` for what is no time in milliseconds; one without an end is a time. */
export function checkTime(name: string, ms: unknown): void {
  if (typeof ms !== "number" || !(ms >= 0))
    throw new TypeError(`${name} must be a number of milliseconds, not ${String(ms)}`);
}

/** Throws a `TypeError` for what is no pause: 0 would be none, so that it would never stop. */
export function checkPause(name: string, ms: unknown): void {
  checkTime(name, ms);
  if (ms === 0) throw new TypeError(`${name} must be more than 0 milliseconds`);
}
