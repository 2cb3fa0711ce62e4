import { STATUS_CODES } from "node:http";
import type { FlagRuleOptions } from "./flag-rule.js";

/** How a request is answered that a flag does not let through. */
export interface HttpDenialOptions extends FlagRuleOptions {
  /** The status, from 400 to 599. Default 403. Without effect where you answer yourself. */
  readonly status?: number;
}

/** An answer by RFC 9457. It names no flag: flags are nobody's business outside. */
export interface HttpDenial {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Caches keep a 404 without being told to, and would give it to those who are let through. */
const HEADERS = Object.freeze({ "content-type": "application/problem+json", "cache-control": "no-store" });
/** Says that there is nothing, and its text must not say otherwise. */
const NOT_FOUND = 404;

/** Throws a RangeError for a status that is none of an error. */
export function createHttpDenial({ status = 403 }: HttpDenialOptions): HttpDenial {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`status must be from 400 to 599, and is ${status}`);
  }
  const title = STATUS_CODES[status] ?? "Error";
  const detail = status === NOT_FOUND ? undefined : "This is not available to you.";
  return { status, headers: HEADERS, body: JSON.stringify({ type: "about:blank", title, status, detail }) };
}
