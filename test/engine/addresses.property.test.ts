import { BlockList, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { digits, nearly } from "./arbitrary-texts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { answerOf, holds } from "./holds.js";
import { isInReferenceBlock } from "./reference-address.js";

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

describe(`addresses are read and compared as by binary digits (seed ${SEED})`, () => {
  const byte = fc.oneof(fc.constantFrom(0, 9, 10, 99, 100, 255), fc.nat(255));
  const ipv4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join("."));
  const group = fc.oneof(fc.constantFrom("0", "0000", "ffff", "FFFF", "fffe"), digits(4));
  const groups = (maxLength: number) => fc.array(group, { maxLength }).map((list) => list.join(":"));
  const ending = fc.tuple(groups(5), ipv4).map(([head, tail]) => (head === "" ? tail : `${head}:${tail}`));
  const ipv6 = fc.oneof(
    fc.tuple(groups(7), fc.oneof(groups(7), ending)).map(([head, tail]) => `${head}::${tail}`),
    fc.array(group, { minLength: 8, maxLength: 8 }).map((list) => list.join(":")),
    fc.tuple(fc.constantFrom("::ffff:", "0:0:0:0:0:FFFF:", "::", "64:ff9b::"), ipv4).map((parts) => parts.join("")),
  );
  const address = nearly(fc.oneof(ipv4, ipv6), "0125f:./F%g é");

  test("for any text", () => {
    fc.assert(
      fc.property(address, (text) => {
        const isAddress = isInReferenceBlock(text, "0.0.0.0/0") || isInReferenceBlock(text, "::/0");
        expect(holds(text, Operator.IN_CIDR, ["0.0.0.0/0", "::/0"])).toBe(isAddress);
      }),
      runs(5_000),
    );
  });

  test("for any block", () => {
    const length = fc.oneof(fc.nat(33), fc.nat(129), fc.constantFrom("", "00", "08", "95", "96", "97", "-1", "1e1"));
    const block = fc.tuple(address, length).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(address, fc.oneof(block, address), (text, literal) => {
        expect(answerOf(text, Operator.IN_CIDR, [literal])).toBe(isInReferenceBlock(text, literal));
        const [base = ""] = literal.split("/");
        expect(answerOf(base, Operator.IN_CIDR, [literal])).toBe(isInReferenceBlock(base, literal));
      }),
      runs(5_000),
    );
  });
});
