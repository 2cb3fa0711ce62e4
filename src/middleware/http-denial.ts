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
  readonly contentType: string;
  readonly body: string;
}

/** Throws a RangeError for a status that is none of an error. */
export function createHttpDenial({ status = 403 }: HttpDenialOptions): HttpDenial {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`status must be from 400 to 599, and is ${status}`);
  }
  const title = STATUS_CODES[status] ?? "Error";
  const body = JSON.stringify({ type: "about:blank", title, status, detail: "This is not available to you." });
  return { status, contentType: "application/problem+json", body };
}
