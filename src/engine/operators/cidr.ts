import type { AttributeValue } from "../attribute.js";
import { type LiteralError, type LiteralOperator, type TestRead, testRead } from "./test-value.js";

/** An address as 32-bit words: one for IPv4, four for IPv6. */
type Address = readonly number[];

const WORD_BITS = 32;

/** Whether an address is in a block. */
export const cidrOperator: LiteralOperator<Address> = {
  join: (tests) => testRead(toAddress, tests),
  compile: (literal): TestRead<Address> | LiteralError => {
    const test = typeof literal === "string" ? compileCidr(literal) : undefined;
    return test ?? { error: "is neither an IP address nor a block such as 10.0.0.0/8" };
  },
};

function toAddress(value: AttributeValue): Address | undefined {
  const address = typeof value === "string" ? parseAddress(value) : undefined;
  return address && unmap(address);
}

/** A block of addresses, `address/length`, or a single address. Undefined if it is neither. */
function compileCidr(literal: string): TestRead<Address> | undefined {
  const [text, lengthText, ...more] = literal.split("/");
  if (text === undefined || more.length > 0) return undefined;
  const written = parseAddress(text);
  if (written === undefined) return undefined;
  const bits = written.length * WORD_BITS;
  if (lengthText !== undefined && !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  let length = lengthText === undefined ? bits : Number(lengthText);
  if (length > bits) return undefined;
  let network = written;
  if (isMapped(written) && length >= 96) {
    network = unmap(written);
    length -= 96;
  }
  return (address) => hasPrefix(address, network, length);
}

function hasPrefix(address: Address, network: Address, length: number): boolean {
  if (address.length !== network.length) return false;
  let left = length;
  for (let index = 0; left > 0; index++, left -= WORD_BITS) {
    const mask = left >= WORD_BITS ? -1 : -1 << (WORD_BITS - left);
    if ((((address[index] ?? 0) ^ (network[index] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

function parseAddress(text: string): Address | undefined {
  if (text.length > 45) return undefined;
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

// Leading zeros are refused: some programs read them as octal.
function parseIpv4(text: string): Address | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let word = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    word = (word << 8) | Number(part);
  }
  return [word];
}

/** RFC 4291, section 2.2, without zones. */
function parseIpv6(text: string): Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const words: number[] = [];
  for (let index = 0; index < 8; index += 2) words.push(((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0));
  return words;
}

/** Only at the end of the address may the last 32 bits be written as IPv4. */
function parseGroups(text: string, isEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (isEnd && part.includes(".") && index === parts.length - 1) {
      const word = parseIpv4(part)?.[0];
      if (word === undefined) return undefined;
      groups.push(word >>> 16, word & 0xffff);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function isMapped(address: Address): boolean {
  return address.length === 4 && address[0] === 0 && address[1] === 0 && address[2] === 0xffff;
}

/** An IPv4-mapped IPv6 address (::ffff:a.b.c.d) as its IPv4 address; any other as it is. */
function unmap(address: Address): Address {
  return isMapped(address) ? [address[3] ?? 0] : address;
}
