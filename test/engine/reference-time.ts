const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** The unit of a reference time is 2^-1074 times 10^-128 milliseconds, so that every text and every number is an integer. */
const SCALE = 2n ** 1_074n * 10n ** 128n;

/** A time by an expression for its grammar and JavaScript's calendar, as one exact integer; undefined if it is none. */
export function toReferenceTime(time: string | number): bigint | undefined {
  if (typeof time === "number") return fromDouble(time);
  const match = time.length > 128 ? null : RFC3339.exec(time);
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
  const wholeMs = date.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 - offsetMs;
  const fraction = match[7] ?? "";
  return BigInt(wholeMs) * SCALE + (BigInt(fraction || "0") * 1_000n * SCALE) / 10n ** BigInt(fraction.length);
}

/** A double from its bits. */
function fromDouble(number: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & (2n ** 52n - 1n);
  const significand = exponent === 0n ? fraction : fraction + 2n ** 52n;
  const units = significand * 2n ** (exponent === 0n ? 0n : exponent - 1n) * 10n ** 128n;
  return bits >> 63n === 1n ? -units : units;
}
