import type { AttributeValue } from "../attribute.js";

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,12})?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * A point in time in milliseconds since 1970-01-01T00:00:00Z: a number is that already, a string is RFC 3339 (section 5.6)
 * with a zone. Undefined for anything else, such as the 30th of February. A leap second counts as the next one.
 */
export function toEpochMs(value: AttributeValue): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.length > 48) return undefined;
  const match = RFC3339.exec(value);
  if (match === null) return undefined;
  const part = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  const [offsetHours, offsetMinutes] = [part(9), part(10)];
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  // Not Date.UTC(year, …), which takes the years 0 to 99 for 1900 to 1999.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000 * (match[8] === "-" ? -1 : 1);
  const fractionMs = match[7] === undefined ? 0 : Number(`0${match[7]}`) * 1_000;
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + fractionMs - offsetMs;
}
