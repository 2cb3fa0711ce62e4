import { codeAt, DOT, END, isDigit, ZERO } from "./character-codes.js";
import { FRACTION_AT, SECONDS_PER_DAY, scannedTime, scanTime } from "./scan-time.js";
import type { Literal } from "./test-value.js";

/**
 * A point in time, exactly, taken apart for comparing it with texts and with numbers. Two doubles would not do: nanoseconds
 * since 1970 have more digits than one holds, and a number of milliseconds can have a thousand.
 */
export interface Moment {
  /** Since 1970-01-01. */
  readonly day: number;
  /** Of the day. */
  readonly second: number;
  /** The digits of the fraction of the second; the last one is not 0. */
  readonly fraction: string;
  /** The number of milliseconds since 1970-01-01T00:00:00Z that is nearest to it. */
  readonly nearestMs: number;
  /** How that number compares with the moment: negative if it is before, 0, or positive. */
  readonly nearestOrder: number;
}

/** Beyond all days that a text can name, and still a small integer. */
const FAR_DAY = 100_000_000;

/** `units / 10 ** digits` seconds since 1970-01-01T00:00:00Z. */
interface ExactTime {
  readonly units: bigint;
  readonly digits: number;
}

/** A moment as a time by RFC 3339 or a number of milliseconds; undefined if it is neither. */
export function toMoment(literal: Literal): Moment | undefined {
  if (typeof literal === "number") return takeApart(fromMs(literal), literal);
  const time = typeof literal === "string" && scanTime(literal) ? fromScannedTime(literal) : undefined;
  // A decimal text becomes the double that is nearest.
  return time && takeApart(time, Number(`${time.units}e${3 - time.digits}`));
}

/** How a text that was just read by `scanTime` compares with a moment: negative if it is before, 0, or positive. */
export function compareScanned(text: string, { day, second, fraction }: Moment): number {
  return scannedTime.day - day || scannedTime.second - second || compareFraction(text, fraction);
}

/**
 * How a number of milliseconds compares with a moment. A number below the nearest one is before the moment, or else it would
 * be the nearest one itself. NaN is neither before nor after.
 */
export function compareMs(epochMs: number, { nearestMs, nearestOrder }: Moment): number {
  if (epochMs < nearestMs) return -1;
  if (epochMs > nearestMs) return 1;
  return epochMs === nearestMs ? nearestOrder : 0;
}

/** Zeros at the end of the text do not count. */
function compareFraction(text: string, fraction: string): number {
  // What follows the seconds directly may be a zone, with digits of its own.
  const length = codeAt(text, FRACTION_AT - 1) === DOT ? text.length : 0;
  let at = 0;
  for (; at < fraction.length; at++) {
    const code = FRACTION_AT + at < length ? codeAt(text, FRACTION_AT + at) : END;
    if (!isDigit(code)) return -1;
    const order = code - codeAt(fraction, at);
    if (order !== 0) return order;
  }
  while (FRACTION_AT + at < length && codeAt(text, FRACTION_AT + at) === ZERO) at++;
  return FRACTION_AT + at < length && isDigit(codeAt(text, FRACTION_AT + at)) ? 1 : 0;
}

function takeApart(time: ExactTime, nearestMs: number): Moment {
  const { units, digits } = time;
  const scale = 10n ** BigInt(digits);
  const seconds = floorOf(units, scale);
  const day = floorOf(seconds, BigInt(SECONDS_PER_DAY));
  const fraction = digits === 0 ? "" : String(units - seconds * scale).padStart(digits, "0");
  return {
    day: Math.max(-FAR_DAY, Math.min(FAR_DAY, Number(day))),
    second: Number(seconds - day * BigInt(SECONDS_PER_DAY)),
    fraction: fraction.replace(/0+$/, ""),
    nearestMs,
    nearestOrder: compareExact(fromMs(nearestMs), time),
  };
}

/** The moment that `scanTime` has just read from this text. */
function fromScannedTime(text: string): ExactTime {
  const { day, second } = scannedTime;
  const [, fraction = ""] = /\.(\d+)/.exec(text) ?? [];
  const seconds = BigInt(day * SECONDS_PER_DAY + second);
  return { units: seconds * 10n ** BigInt(fraction.length) + BigInt(fraction || "0"), digits: fraction.length };
}

/** Every double is an integer over a power of two, and so a decimal number with an end. */
function fromMs(epochMs: number): ExactTime {
  let integer = epochMs;
  let halvings = 0;
  for (; !Number.isInteger(integer); integer *= 2) halvings++;
  return { units: BigInt(integer) * 5n ** BigInt(halvings), digits: halvings + 3 };
}

function compareExact(a: ExactTime, b: ExactTime): number {
  const one = a.units * 10n ** BigInt(b.digits);
  const other = b.units * 10n ** BigInt(a.digits);
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The quotient, rounded down; the divisor is positive. */
function floorOf(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return quotient * divisor > dividend ? quotient - 1n : quotient;
}
