import { Role, type Token } from "../../../gen/flagwire/v1/access_pb.js";
import { type Clock, isLoopback } from "../../base/index.js";
import type { Call } from "../handlers.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import type { Identity } from "./identity.js";
import { createTicket, isTicket, ticketTokenId } from "./ticket.js";
import { digestSecret, isSecret, parseBearer } from "./token-secret.js";

export interface GateOptions {
  readonly head: Pick<Head, "catalog" | "accessChanges">;
  readonly clock: Clock;
  /** Where the server listens. */
  readonly host: string;
  /** Whether callers from other machines need no token either as long as there is none. */
  readonly allowAnonymous: boolean;
  /** What the service presents to itself, such as to import the first flags. */
  readonly ownToken?: string | undefined;
}

/** Knows who may come in. */
export interface Gate {
  /** Who calls. As long as no token exists, callers on this machine need none and may do everything. */
  identify(call: Pick<Call, "header" | "peer">): OrRefusal<Identity>;
  /** Who comes with a ticket for one purpose in one environment; see ticket.ts. */
  identifyTicket(ticket: string, purpose: string, environment: string): OrRefusal<Identity>;
  /** A ticket for who was let in; undefined where none is needed. */
  ticketFor(identity: Identity, purpose: string, environment: string): string | undefined;
  /** Calls `listener`, soon, after tokens have changed, until the function returned is called. */
  onChange(listener: () => void): () => void;
  /** Whether somebody who was let in would be let in now. */
  admits(identity: Identity): boolean;
}

const everybody: Identity = {
  tokenId: undefined,
  name: "anonymous",
  role: Role.ADMIN,
  environments: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

export function createGate({ head, clock, host, allowAnonymous, ownToken }: GateOptions): Gate {
  // Whoever reaches loopback is on this machine.
  const trustsAll = allowAnonymous || isLoopback(host);
  const ownDigest = ownToken === undefined ? undefined : digestSecret(ownToken);
  const hasTokens = () => head.catalog.tokenIds().length > 0;
  return {
    identify(call) {
      const presented = presentedToken(call);
      if (presented === undefined) {
        if (hasTokens()) return tokenMissing;
        return trustsAll || isLoopback(hostOf(call.peer)) ? everybody : tokenNeeded;
      }
      if (ownDigest !== undefined && isSecret(presented, ownDigest)) return everybody;
      const bearer = parseBearer(presented);
      const stored = bearer && head.catalog.token(bearer.id);
      if (stored?.token === undefined || !isSecret(bearer?.secret ?? "", stored.secretSha256)) {
        return hasTokens() ? tokenUnknown : noTokens;
      }
      return toIdentity(stored.token, clock.now());
    },
    identifyTicket(ticket, purpose, environment) {
      const stored = head.catalog.token(ticketTokenId(ticket) ?? "");
      if (stored?.token === undefined || !isTicket(ticket, stored, purpose, environment)) return tokenUnknown;
      return toIdentity(stored.token, clock.now());
    },
    ticketFor({ tokenId }, purpose, environment) {
      const stored = tokenId === undefined ? undefined : head.catalog.token(tokenId);
      return stored && createTicket(stored, purpose, environment);
    },
    onChange: (listener) => head.accessChanges.subscribe(listener),
    admits({ tokenId, expiresAtMs }) {
      if (tokenId === undefined) return !hasTokens();
      return expiresAtMs > clock.now() && head.catalog.token(tokenId) !== undefined;
    },
  };
}

function toIdentity({ id, name, role, environments, expiresAt }: Token, nowMs: number): OrRefusal<Identity> {
  const expiresAtMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : Number(expiresAt.seconds) * 1_000;
  return expiresAtMs <= nowMs ? tokenUnknown : { tokenId: id, name, role, environments, expiresAtMs };
}

const BEARER_SCHEME = /^bearer +(\S+) *$/i;

/** Empty for a header that holds no bearer token: that is a wrong token, not none. */
function presentedToken(call: Pick<Call, "header">): string | undefined {
  const authorization = call.header("authorization");
  return authorization === undefined ? undefined : (BEARER_SCHEME.exec(authorization)?.[1] ?? "");
}

function hostOf(peer: string): string {
  return peer.slice(0, Math.max(0, peer.lastIndexOf(":")));
}

const tokenMissing = new Refusal(
  "UNAUTHENTICATED",
  "TOKEN_MISSING",
  "this server needs a token: send it as authorization: Bearer …",
);
const tokenNeeded = new Refusal(
  "UNAUTHENTICATED",
  "TOKEN_MISSING",
  "this server has no tokens yet, so only callers on its own machine may come in: create one there with flagwire token create",
);
const noTokens = new Refusal(
  "UNAUTHENTICATED",
  "TOKEN_UNKNOWN",
  "this server has no tokens yet, so it cannot know this one: leave it out",
);
/** The same for each, so that nobody learns which tokens there were. */
const tokenUnknown = new Refusal("UNAUTHENTICATED", "TOKEN_UNKNOWN", "the token is unknown, expired or revoked");
