import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { digits, nearly } from "./arbitrary-texts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { answerOf, holds } from "./holds.js";
import { toReferenceTime } from "./reference-time.js";

describe(`times (seed ${SEED})`, () => {
  const moment = fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9998, 11, 31) });
  const offset = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });

  /** RFC 3339 of a moment, as a clock in some zone shows it. */
  function rfc3339(epochMs: number, offsetMinutes: number): string {
    const local = new Date(epochMs + offsetMinutes * 60_000).toISOString().slice(0, -1);
    const [hours, minutes] = [Math.floor(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60];
    const two = (number: number) => String(number).padStart(2, "0");
    return `${local}${offsetMinutes < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
  }

  test("are the same moment in every zone, as text, as a number and as a Date", () => {
    fc.assert(
      fc.property(moment, offset, offset, (epochMs, zone, otherZone) => {
        for (const written of [rfc3339(epochMs, zone), epochMs, new Date(epochMs), new Date(epochMs).toISOString()]) {
          expect(holds(written, Operator.AFTER, [rfc3339(epochMs - 1, otherZone)])).toBe(true);
          expect(holds(written, Operator.AFTER, [rfc3339(epochMs, otherZone)])).toBe(false);
          expect(holds(written, Operator.BEFORE, [rfc3339(epochMs, otherZone)])).toBe(false);
          expect(holds(written, Operator.BEFORE, [epochMs + 1])).toBe(true);
        }
      }),
      runs(300),
    );
  });

  test("that are none are neither before nor after", () => {
    for (const text of [
      "2023-02-29T00:00:00Z",
      "2024-13-01T00:00:00Z",
      "2024-01-01T00:00:00",
      "2024-01-01T00:60:00Z",
      "5",
    ]) {
      expect([holds(text, Operator.BEFORE, [1e15]), holds(text, Operator.AFTER, [-1e15])]).toEqual([false, false]);
    }
    expect(holds("2024-02-29T00:00:00Z", Operator.BEFORE, [1e15])).toBe(true);
  });
});

describe(`times are read and compared as exact integers (seed ${SEED})`, () => {
  const twoDigits = (max: number) => fc.nat(max).map((number) => String(number).padStart(2, "0"));
  const year = fc.oneof(fc.constantFrom(0, 1, 4, 100, 400, 1900, 1969, 1970, 2000, 2024, 2026, 9999), fc.nat(9_999));
  const date = fc.tuple(
    year.map((number) => String(number).padStart(4, "0")),
    twoDigits(13),
    twoDigits(32),
  );
  const clock = fc.tuple(twoDigits(24), twoDigits(60), twoDigits(61));
  const fraction = fc.oneof(
    fc.constant(""),
    digits(20).map((text) => `.${text}`),
    digits(108).map((text) => `.${text}`),
  );
  const zone = fc.oneof(
    fc.constantFrom("Z", "z", "+00:00", "-00:00"),
    fc.tuple(fc.constantFrom("+", "-"), twoDigits(24), twoDigits(60)).map(([sign, h, m]) => `${sign}${h}:${m}`),
  );
  const anyTime = fc
    .tuple(date, fc.constantFrom("T", "t", " "), clock, fraction, zone)
    .map(([days, between, time, rest, offset]) => days.join("-") + between + time.join(":") + rest + offset);
  const text = nearly(anyTime, "0123456789-+:.TZ _é");

  test("for any text", () => {
    fc.assert(
      fc.property(text, (attribute) => {
        const isTime = toReferenceTime(attribute) !== undefined;
        expect(holds(attribute, Operator.BEFORE, [1e300])).toBe(isTime);
        expect(answerOf(0, Operator.AFTER, [attribute]) !== undefined).toBe(isTime);
      }),
      runs(5_000),
    );
  });

  test("for every day of all kinds of years", () => {
    for (const written of ["0000", "0001", "0004", "0100", "0400", "1900", "1970", "1999", "2000", "2024", "9999"]) {
      for (let month = 0; month <= 13; month++) {
        for (let day = 0; day <= 32; day++) {
          const [mm, dd] = [month, day].map((number) => String(number).padStart(2, "0"));
          const noon = `${written}-${mm}-${dd}T12:00:00Z`;
          const time = toReferenceTime(noon);
          const ms = time === undefined ? 0 : new Date(`${written}-${mm}-${dd}T12:00:00Z`).getTime();
          expect([noon, holds(noon, Operator.BEFORE, [ms + 1])]).toEqual([noon, time !== undefined]);
          expect([noon, holds(noon, Operator.AFTER, [ms - 1])]).toEqual([noon, time !== undefined]);
        }
      }
    }
  });

  /** Moments close to 2026, the epoch and each other, with which rounding can go wrong. */
  const around = fc.constantFrom(
    "2025-12-31T23:59:59",
    "2026-01-01T00:00:00",
    "1969-12-31T23:59:59",
    "1970-01-01T00:00:00",
  );
  const close = fc
    .tuple(
      around,
      fc.constantFrom("", "0", "9", "001", "5", "999", "000244140625", "999755859375"),
      fc.nat(60),
      digits(6),
    )
    .map(([base, start, zeros, end]) => `${base}.${start}${(zeros % 2 === 0 ? "0" : "9").repeat(zeros)}${end}Z`);
  /** The same seconds in other zones, with and without a fraction. */
  const elsewhere = fc.constantFrom(
    "2026-01-01T01:23:00+01:23",
    "2025-12-31T14:30:00-09:30",
    "2026-01-01T01:23:00.0+01:23",
    "2025-12-31T14:30:00.000000001-09:30",
    "1970-01-01T12:34:00+12:34",
    "1969-12-31T23:59:60.1Z",
  );
  const base = fc.constantFrom(0, 1, -1, -0, 1_767_225_600_000, -1_000, 1e15, -1e15);
  const tiny = fc.oneof(
    fc.constantFrom(0, 5e-324, 2 ** -12, 1e-3, 0.5, 1e-7, 0.999, 1 - 2 ** -53),
    fc.double({ noNaN: true, min: -1, max: 1 }),
  );
  const number = fc.oneof(
    fc.tuple(base, tiny).map(([whole, rest]) => whole + rest),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  const time = fc.oneof(close, close, elsewhere, number, anyTime);

  test("for texts of any number of digits and numbers, each against each", () => {
    fc.assert(
      fc.property(time, time, (attribute, literal) => {
        const [one, other] = [toReferenceTime(attribute), toReferenceTime(literal)];
        fc.pre(one !== undefined && other !== undefined);
        if (one === undefined || other === undefined) return;
        expect(holds(attribute, Operator.BEFORE, [literal])).toBe(one < other);
        expect(holds(attribute, Operator.AFTER, [literal])).toBe(one > other);
      }),
      runs(5_000),
    );
  });

  test("for a number and the texts around it", () => {
    const ms = fc.integer({ min: Date.UTC(1, 0, 1), max: 1e14 });
    fc.assert(
      fc.property(ms, fc.constantFrom(0, 0.5, 0.25, 0.125), (whole, rest) => {
        const exact = new Date(whole).toISOString().replace("Z", `${String(rest).slice(2)}Z`);
        const above = exact.replace("Z", "0000000000000000000001Z");
        expect([holds(exact, Operator.BEFORE, [whole + rest]), holds(exact, Operator.AFTER, [whole + rest])]).toEqual([
          false,
          false,
        ]);
        expect([holds(whole + rest, Operator.BEFORE, [exact]), holds(whole + rest, Operator.AFTER, [exact])]).toEqual([
          false,
          false,
        ]);
        expect([holds(above, Operator.AFTER, [whole + rest]), holds(whole + rest, Operator.BEFORE, [above])]).toEqual([
          true,
          true,
        ]);
      }),
      runs(500),
    );
  });
});
