/** How many bits of an IPv4-mapped IPv6 address come before the IPv4 address. */
const MAPPED_BITS = 96;

/** An address in binary digits, 32 or 128. */
type Bits = string;

/** Whether an address is in a block, by expressions and binary digits. Undefined where the block is none. */
export function isInReferenceBlock(address: string, block: string): boolean | undefined {
  const [text = "", lengthText, ...more] = block.split("/");
  const written = toBits(text);
  if (written === undefined || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(lengthText ?? "0")) return undefined;
  const length = Number(lengthText ?? written.length);
  if (length > written.length) return undefined;
  const isMapped = length >= MAPPED_BITS && unmap(written) !== written;
  const [network, prefix] = isMapped ? [unmap(written), length - MAPPED_BITS] : [written, length];
  const bits = toBits(address);
  if (bits === undefined) return false;
  const plain = unmap(bits);
  return plain.length === network.length && plain.slice(0, prefix) === network.slice(0, prefix);
}

function unmap(bits: Bits): Bits {
  return bits.startsWith(`${"0".repeat(80)}${"1".repeat(16)}`) ? bits.slice(MAPPED_BITS) : bits;
}

function toBits(text: string): Bits | undefined {
  if (text.length > 45) return undefined;
  return text.includes(":") ? ipv6ToBits(text) : ipv4ToBits(text);
}

function ipv4ToBits(text: string): Bits | undefined {
  const parts = text.split(".");
  const isByte = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(isByte)
    ? parts.map((part) => inBinary(Number(part), 8)).join("")
    : undefined;
}

/** RFC 4291, section 2.2, without zones. */
function ipv6ToBits(text: string): Bits | undefined {
  const [left = "", right, ...more] = text.split("::");
  const [head, tail] = [groupsToBits(left, right === undefined), groupsToBits(right ?? "", true)];
  if (more.length > 0 || head === undefined || tail === undefined) return undefined;
  const missing = 128 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 16) return undefined;
  return head + "0".repeat(missing) + tail;
}

/** Only at the end of the address may the last 32 bits be written as IPv4. */
function groupsToBits(text: string, isEnd: boolean): Bits | undefined {
  if (text === "") return "";
  const parts = text.split(":");
  const bits = parts.map((part, index) => {
    if (isEnd && index === parts.length - 1 && part.includes(".")) return ipv4ToBits(part);
    return /^[0-9A-Fa-f]{1,4}$/.test(part) ? inBinary(Number.parseInt(part, 16), 16) : undefined;
  });
  return bits.includes(undefined) ? undefined : bits.join("");
}

function inBinary(number: number, length: number): Bits {
  return number.toString(2).padStart(length, "0");
}
