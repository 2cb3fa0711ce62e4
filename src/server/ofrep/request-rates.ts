import { RateBuckets, type RateBucketsOptions } from "../access/rate-buckets.js";

export type RequestRatesOptions = RateBucketsOptions;

/** How often clients may ask, by their addresses. */
export class RequestRates {
  readonly #buckets: RateBuckets;

  constructor(options: RequestRatesOptions) {
    this.#buckets = new RateBuckets(options);
  }

  /** Takes a request of a client, by its address. Gives how long it must wait, in milliseconds: 0 if it need not. */
  take(address: string): number {
    return this.#buckets.take(toClient(address));
  }
}

/** An IPv4 address, or the first half of an IPv6 address: the rest is the client's to choose. */
function toClient(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  const [before = "", after] = address.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0");
  return [...head, ...zeros, ...tail].slice(0, 4).join(":");
}
