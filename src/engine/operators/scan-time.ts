import { COLON, codeAt, DOT, HYPHEN, isDigit, PLUS, ZERO } from "./character-codes.js";

/** Characters of a time, in attributes and values. */
export const MAX_TIME_LENGTH = 128;
export const SECONDS_PER_DAY = 86_400;

/** Where the fraction of a second begins: after `2026-01-01T00:00:00.`. */
export const FRACTION_AT = 20;
const NONE = -1;
/** More than any zone is off. */
const NO_OFFSET = SECONDS_PER_DAY;
const SPACE = 0x20;
const LOWER_T = 0x74;
const LOWER_Z = 0x7a;
/** From the 1st of January of the year 0 to the one of 1970. */
const DAYS_TO_1970 = 719_528;
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/**
 * The moment that was read last, but for its fraction: days since 1970-01-01, and the second of that day. Small integers,
 * which are stored without allocating memory; the seconds since 1970 would not be.
 */
export const scannedTime = { day: 0, second: 0 };

/**
 * Reads a time by RFC 3339 (section 5.6, with a space for the `T` as in its note) into `scannedTime`. False, with that as it
 * was, for anything else, such as the 30th of February. A leap second counts as the second after it.
 */
export function scanTime(text: string): boolean {
  if (text.length > MAX_TIME_LENGTH || !isPunctuated(text)) return false;
  const day = scanDay(text);
  const second = scanSecond(text);
  const offset = scanOffset(text, endOfFraction(text));
  if (day === NONE || second === NONE || offset === NO_OFFSET) return false;
  // An offset is less than a day, so this is at most one day off.
  const local = second - offset;
  const days = local < 0 ? -1 : local < SECONDS_PER_DAY ? 0 : 1;
  scannedTime.day = day - DAYS_TO_1970 + days;
  scannedTime.second = local - days * SECONDS_PER_DAY;
  return true;
}

/** Whether what stands between the numbers up to the seconds is as it should be. */
function isPunctuated(text: string): boolean {
  const between = codeAt(text, 10);
  return (
    codeAt(text, 4) === HYPHEN &&
    codeAt(text, 7) === HYPHEN &&
    ((between | 0x20) === LOWER_T || between === SPACE) &&
    codeAt(text, 13) === COLON &&
    codeAt(text, 16) === COLON
  );
}

/** Days since the 1st of January of the year 0, by the Gregorian calendar; NONE if there is no such day. */
function scanDay(text: string): number {
  const century = twoDigits(text, 0);
  const yearOfCentury = twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (century === NONE || yearOfCentury === NONE || month < 1 || month > 12 || day < 1) return NONE;
  const year = century * 100 + yearOfCentury;
  const isLeap = (yearOfCentury === 0 ? century : year) % 4 === 0;
  const before = DAYS_BEFORE_MONTH[month - 1] ?? 0;
  const days = (DAYS_BEFORE_MONTH[month] ?? 0) - before + (isLeap && month === 2 ? 1 : 0);
  if (day > days) return NONE;
  // The year 0 is a leap year, so rounding up counts the leap years before this one. All remain small integers.
  const leapYears = (((year + 3) / 4) | 0) - (((year + 99) / 100) | 0) + (((year + 399) / 400) | 0);
  return year * 365 + leapYears + before + (isLeap && month > 2 ? 1 : 0) + day - 1;
}

/** The second of the day, up to 86,400 for a leap second; NONE if there is none. */
function scanSecond(text: string): number {
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  if (hour === NONE || hour > 23 || minute === NONE || minute > 59 || second === NONE || second > 60) return NONE;
  return (hour * 60 + minute) * 60 + second;
}

/** Where the zone begins, after a fraction if there is one; NONE if that has no digits. */
function endOfFraction(text: string): number {
  if (codeAt(text, FRACTION_AT - 1) !== DOT) return FRACTION_AT - 1;
  let at = FRACTION_AT;
  while (isDigit(codeAt(text, at))) at++;
  return at === FRACTION_AT ? NONE : at;
}

/** What a zone is ahead of UTC, in seconds; NO_OFFSET if it is none, or does not end the text. */
function scanOffset(text: string, from: number): number {
  if (from === NONE) return NO_OFFSET;
  const sign = codeAt(text, from);
  if ((sign | 0x20) === LOWER_Z) return from + 1 === text.length ? 0 : NO_OFFSET;
  if ((sign !== PLUS && sign !== HYPHEN) || codeAt(text, from + 3) !== COLON || text.length !== from + 6)
    return NO_OFFSET;
  const hours = twoDigits(text, from + 1);
  const minutes = twoDigits(text, from + 4);
  if (hours === NONE || hours > 23 || minutes === NONE || minutes > 59) return NO_OFFSET;
  const seconds = (hours * 60 + minutes) * 60;
  return sign === HYPHEN ? 0 - seconds : seconds;
}

/** The number that two digits make; NONE if they are none. */
function twoDigits(text: string, at: number): number {
  const tens = codeAt(text, at);
  const ones = codeAt(text, at + 1);
  return isDigit(tens) && isDigit(ones) ? (tens - ZERO) * 10 + (ones - ZERO) : NONE;
}
