import type { AttributeValue } from "../attribute.js";
import { type Address, isIpv4, scanAddress } from "./scan-address.js";
import { type LiteralError, type LiteralOperator, type TestRead, testRead } from "./test-value.js";

const WORDS = 4;
const WORD_BITS = 32;
const BITS = WORDS * WORD_BITS;
/** How many bits of an IPv4-mapped address come before the IPv4 address. */
const MAPPED_BITS = 96;

/**
 * The address that is being compared. One for all is enough: it is read and compared at once, and nothing else can run in
 * between.
 */
const scanned: Address = new Int32Array(WORDS);

/** Whether an address is in a block. */
export const cidrOperator: LiteralOperator<Address> = {
  join: (tests) => testRead(readAddress, tests),
  compile: (literal): TestRead<Address> | LiteralError => {
    const test = typeof literal === "string" ? compileCidr(literal) : undefined;
    return test ?? { error: "is neither an IP address nor a block such as 10.0.0.0/8" };
  },
};

function readAddress(value: AttributeValue): Address | undefined {
  return typeof value === "string" && scanAddress(value, scanned) ? scanned : undefined;
}

/** A block of addresses, `address/length`, or a single address. Undefined if it is neither. */
function compileCidr(literal: string): TestRead<Address> | undefined {
  const [text = "", lengthText, ...more] = literal.split("/");
  const network: Address = new Int32Array(WORDS);
  if (more.length > 0 || !scanAddress(text, network)) return undefined;
  if (lengthText !== undefined && !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  const hidden = text.includes(":") ? 0 : MAPPED_BITS;
  const length = lengthText === undefined ? BITS : hidden + Number(lengthText);
  return length > BITS ? undefined : testBlock(network, length);
}

/** Holds for the addresses that begin as the network does. No IPv6 block has IPv4 addresses, mapped ones among them. */
function testBlock(network: Address, length: number): TestRead<Address> {
  const isOfIpv4 = isIpv4(network) && length >= MAPPED_BITS;
  const masks = Int32Array.from(network, (_, word) => maskOf(length - word * WORD_BITS));
  const differs = (address: Address, word: number): number =>
    ((address[word] ?? 0) ^ (network[word] ?? 0)) & (masks[word] ?? 0);
  return (address) =>
    isIpv4(address) === isOfIpv4 &&
    (differs(address, 3) | differs(address, 2) | differs(address, 1) | differs(address, 0)) === 0;
}

/** A word with so many of its highest bits set: none if it is to be less than one, all if more than there are. */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= WORD_BITS ? -1 : -1 << (WORD_BITS - bits);
}
