import { createHmac, timingSafeEqual } from "node:crypto";
import type { StoredToken } from "../../../gen/flagwire/v1/access_pb.js";

const TICKET = /^([0-9a-z]{12})\.([0-9a-f]{64})$/;

/**
 * What lets a browser open a stream that can carry no header, without its token in the address: it opens nothing but that, in
 * that environment, as long as the token is live. Every process of a server can check it, and none keeps it.
 */
export function createTicket(stored: StoredToken, purpose: string, environment: string): string {
  return `${stored.token?.id ?? ""}.${sign(stored, purpose, environment).toString("hex")}`;
}

/** The id of the token that a ticket speaks of; undefined for what is no ticket. */
export function ticketTokenId(ticket: string): string | undefined {
  return TICKET.exec(ticket)?.[1];
}

export function isTicket(ticket: string, stored: StoredToken, purpose: string, environment: string): boolean {
  const given = Buffer.from(TICKET.exec(ticket)?.[2] ?? "", "hex");
  const right = sign(stored, purpose, environment);
  return given.length === right.length && timingSafeEqual(given, right);
}

/** The key is what is kept of the secret, which nobody else has. */
function sign({ secretSha256 }: StoredToken, purpose: string, environment: string): Buffer {
  return createHmac("sha256", secretSha256).update(`${purpose}\n${environment}`).digest();
}
