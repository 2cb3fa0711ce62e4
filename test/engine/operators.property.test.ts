import { BlockList, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { murmur3 } from "../../src/engine/index.js";
import { anyText, runs, SEED } from "./arbitrary-words.js";
import { ask, flag, match, rule, snapshotOf } from "./build.js";
import { referenceHash } from "./reference.js";

/** Whether an attribute matches any of some values. */
function holds(attribute: unknown, operator: Operator, values: (string | number)[], ignoreCase = false): boolean {
  const snapshot = snapshotOf(flag("x", { rules: [rule(match("attribute", operator, values, { ignoreCase }))] }));
  const { variant, errorMessage } = ask(snapshot, "x", { attribute });
  expect(errorMessage).toBeUndefined();
  return variant === "b";
}

const byte = fc.nat(255);
const ipv4 = fc.tuple(byte, byte, byte, byte).map((parts) => parts.join("."));
const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });
/** The same address in one of the ways to write it. */
const ipv6 = fc.tuple(groups, fc.nat(8), fc.boolean()).map(([parts, at, upper]) => {
  const hex = parts.map((part) => part.toString(16));
  let zeros = 0;
  while (parts[at + zeros] === 0) zeros++;
  const text = zeros === 0 ? hex.join(":") : `${hex.slice(0, at).join(":")}::${hex.slice(at + zeros).join(":")}`;
  return upper ? text.toUpperCase() : text;
});

function isMapped(address: string): boolean {
  const list = new BlockList();
  list.addSubnet("::ffff:0:0", 96, "ipv6");
  return list.check(address, "ipv6");
}

describe(`addresses and blocks (seed ${SEED})`, () => {
  test("of IPv4 are as Node's own block list has them", () => {
    const near = fc.tuple(ipv4, ipv4, fc.nat(32)).map(([one, other, length]) => ({ one, other, length }));
    fc.assert(
      fc.property(near, ({ one, other, length }) => {
        const list = new BlockList();
        list.addSubnet(one, length, "ipv4");
        const block = `${one}/${length}`;
        for (const address of [one, other]) {
          expect(holds(address, Operator.IN_CIDR, [block])).toBe(list.check(address));
          expect(holds(`::ffff:${address}`, Operator.IN_CIDR, [block])).toBe(list.check(address));
          expect(holds(address, Operator.IN_CIDR, [`::ffff:${one}/${96 + length}`])).toBe(list.check(address));
        }
      }),
      runs(500),
    );
  });

  test("of IPv6 are as Node's own block list has them", () => {
    fc.assert(
      fc.property(ipv6, ipv6, fc.nat(128), (one, other, length) => {
        expect(isIPv6(one)).toBe(true);
        fc.pre(!isMapped(one) && !isMapped(other));
        const list = new BlockList();
        list.addSubnet(one, length, "ipv6");
        for (const address of [one, other]) {
          expect(holds(address, Operator.IN_CIDR, [`${one}/${length}`])).toBe(list.check(address, "ipv6"));
        }
        expect(holds(one, Operator.IN_CIDR, [one])).toBe(true);
      }),
      runs(500),
    );
  });

  test("that are none match nothing and are refused", () => {
    const characters = fc.constantFrom(..."0123456789abcdef:::...fFx/ ");
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 20 }), (text) => {
        const [address = "", length] = text.split("/");
        fc.pre(length === undefined);
        const isAddress = /^[\d.]+$/.test(address)
          ? /^(\d+\.){3}\d+$/.test(address) && isPlainIpv4(address)
          : isIPv6(address);
        expect(holds(text, Operator.IN_CIDR, ["0.0.0.0/0", "::/0"])).toBe(isAddress);
      }),
      runs(3_000),
    );
  });
});

function isPlainIpv4(text: string): boolean {
  return text.split(".").every((part) => String(Number(part)) === part && Number(part) <= 255);
}

const identifier = fc.oneof(fc.nat(20).map(String), fc.constantFrom("alpha", "beta", "rc", "x-y", "-", "0a", "A"));
const version = fc
  .tuple(fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }), fc.array(identifier, { maxLength: 3 }))
  .map(([core, prerelease]) => ({ core, prerelease }));
type Version = { readonly core: readonly number[]; readonly prerelease: readonly string[] };
const textOf = ({ core, prerelease }: Version) =>
  core.join(".") + (prerelease.length > 0 ? `-${prerelease.join(".")}` : "");

/** Section 11 of semver.org 2.0.0: a key whose parts compare as versions do; no prerelease comes after any. */
function precedence({ core, prerelease }: Version): (readonly [rank: number, number: number, text: string])[] {
  const numbers = core.map((number) => [1, number, ""] as const);
  if (prerelease.length === 0) return [...numbers, [3, 0, ""]];
  return [
    ...numbers,
    ...prerelease.map((id) => (/^\d+$/.test(id) ? ([1, Number(id), ""] as const) : ([2, 0, id] as const))),
  ];
}

function compareVersions(one: Version, other: Version): number {
  const [a, b] = [precedence(one), precedence(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [x, y] = [a[index] ?? [0, 0, ""], b[index] ?? [0, 0, ""]];
    for (const part of [0, 1, 2] as const) if (x[part] !== y[part]) return x[part] < y[part] ? -1 : 1;
  }
  return 0;
}

describe(`versions (seed ${SEED})`, () => {
  test("compare by semver.org's precedence", () => {
    fc.assert(
      fc.property(version, version, fc.constantFrom("", "+build.7", "+01"), (one, other, build) => {
        const order = compareVersions(one, other);
        const answers = [
          Operator.SEMVER_EQUAL,
          Operator.SEMVER_LESS,
          Operator.SEMVER_LESS_OR_EQUAL,
          Operator.SEMVER_GREATER,
          Operator.SEMVER_GREATER_OR_EQUAL,
        ].map((operator) => holds(`v${textOf(one)}`, operator, [textOf(other) + build]));
        expect(answers).toEqual([order === 0, order < 0, order <= 0, order > 0, order >= 0]);
      }),
      runs(500),
    );
  });

  test("have zeros where minor and patch are missing", () => {
    for (const text of ["2", "v2", "2.0", "2.0.0", "2+b"])
      expect(holds(text, Operator.SEMVER_EQUAL, ["2.0.0"])).toBe(true);
    expect(holds("2-rc", Operator.SEMVER_LESS, ["2"])).toBe(true);
  });

  test("have numbers of any size", () => {
    const large = "9007199254740993";
    expect(holds(`1.${large}.0`, Operator.SEMVER_GREATER, ["1.9007199254740992.0"])).toBe(true);
    expect(holds(`1.0.0-${large}`, Operator.SEMVER_EQUAL, ["1.0.0-9007199254740992"])).toBe(false);
  });
});

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

describe(`texts (seed ${SEED})`, () => {
  test("contain, start and end with whatever they are made of, whatever the case where it does not count", () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (before, middle, after) => {
        const text = before + middle + after;
        expect(holds(text, Operator.CONTAINS, [middle])).toBe(true);
        expect(holds(text, Operator.STARTS_WITH, [before])).toBe(true);
        expect(holds(text, Operator.ENDS_WITH, [after])).toBe(true);
        expect(holds(text, Operator.IN, [text])).toBe(true);
        expect(holds(text.toLowerCase(), Operator.IN, [text], true)).toBe(true);
        expect(holds(text, Operator.CONTAINS, [`${text}x`, "$now"])).toBe(false);
      }),
      runs(300),
    );
  });

  test("never make a pattern throw", () => {
    fc.assert(
      fc.property(
        anyText,
        fc.constantFrom("^.*$", "\\b", "(a|b)*c", "[^\\x00-\\x7f]", "\\p{Greek}+$"),
        (text, pattern) => {
          expect(typeof holds(text, Operator.MATCHES, [pattern])).toBe("boolean");
        },
      ),
      runs(300),
    );
  });

  test("hash as the published algorithm hashes their UTF-8", () => {
    const long = fc.string({ unit: fc.oneof(fc.nat(0x7f), fc.nat(0xffff)).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(fc.oneof(anyText, long, fc.string()), fc.constantFrom(0, 1, 2 ** 31), (text, seed) => {
        expect(BigInt(murmur3(text, seed))).toBe(referenceHash(text, BigInt(seed)));
      }),
      runs(2_000),
    );
  });
});
