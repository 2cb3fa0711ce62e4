import { Role, type Token } from "../../../gen/flagwire/v1/access_pb.js";
import { type Clock, isLoopback } from "../../base/index.js";
import type { Call } from "../handlers.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import type { AnonymousRole } from "./anonymous-role.js";
import { type CallerLimits, CallerMeter, defaultCallerLimits } from "./caller-limits.js";
import { type ClientRole, identityOfCertificate } from "./client-roles.js";
import type { Identity } from "./identity.js";
import { createTicket, isTicket, ticketTokenId } from "./ticket.js";
import { digestSecret, isSecret, parseBearer } from "./token-secret.js";

export interface GateOptions {
  readonly head: Pick<Head, "catalog" | "accessChanges">;
  readonly clock: Clock;
  /** Where the server listens. */
  readonly host: string;
  /** Whether callers from other machines need no token either as long as there is none. With `anonymousRole` they have that. */
  readonly allowAnonymous: boolean;
  /** What callers may do who present nothing where something is needed. Default: nothing. */
  readonly anonymousRole?: AnonymousRole | undefined;
  /** What holders of certificates may do. Where there are any roles, every call needs a certificate or a token. Default none. */
  readonly clientRoles?: readonly ClientRole[];
  /** Default: each of `defaultCallerLimits`. */
  readonly limits?: Partial<CallerLimits>;
  /** What the service presents to itself, such as to import the first flags. */
  readonly ownToken?: string | undefined;
}

/** Knows who may come in. */
export interface Gate {
  /**
   * Who calls. A token that is presented decides, right or wrong; without one, the client's certificate does. As long as there are
   * no tokens and no roles of certificates, callers on this machine need nothing and may do everything. Others who present nothing
   * have the role of callers with nothing, if there is one.
   */
  identify(call: Caller): OrRefusal<Identity>;
  /** Who comes with a ticket for one purpose in one environment; see ticket.ts. */
  identifyTicket(ticket: string, purpose: string, environment: string): OrRefusal<Identity>;
  /** A ticket for who was let in; undefined where none is needed. */
  ticketFor(identity: Identity, purpose: string, environment: string): string | undefined;
  /** Counts a call of who was let in; gives why it may not be made now. */
  refuseCall(identity: Identity): Refusal | undefined;
  /** Counts a stream of who was let in, until the function that it gives is called, or says why it may not be opened now. */
  openStream(identity: Identity): OrRefusal<() => void>;
  /** Calls `listener`, soon, after tokens have changed, until the function returned is called. */
  onChange(listener: () => void): () => void;
  /** Whether somebody who was let in would be let in now. */
  admits(identity: Identity): boolean;
}

/** What is looked at of a call. */
type Caller = Pick<Call, "header" | "peer" | "certificate">;

const everybody: Identity = {
  tokenId: undefined,
  name: "anonymous",
  role: Role.ADMIN,
  environments: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

/** The service itself. */
const owner: Identity = { ...everybody };

export function createGate(options: GateOptions): Gate {
  const { head, clock, host, allowAnonymous, anonymousRole, clientRoles = [], ownToken } = options;
  const meter = new CallerMeter({ ...defaultCallerLimits, ...options.limits }, clock);
  // Whoever reaches loopback is on this machine.
  const trustsAll = isLoopback(host) || (allowAnonymous && anonymousRole === undefined);
  const ownDigest = ownToken === undefined ? undefined : digestSecret(ownToken);
  const hasTokens = () => head.catalog.tokenIds().length > 0;
  const hasClientRoles = clientRoles.length > 0;
  const anonymous = anonymousRole && { ...everybody, ...anonymousRole, isAnonymous: true };
  const identifyCertificate = ({ certificate }: Caller): OrRefusal<Identity> => {
    if (certificate === undefined) return anonymous ?? credentialMissing;
    if (certificate.kind === "refused") return certificateRefused(certificate.reason);
    const identity = identityOfCertificate(certificate, clientRoles);
    if (identity === undefined) return certificateUnknown(certificate.names);
    return identity.expiresAtMs > clock.now() ? identity : certificateRefused("CERT_HAS_EXPIRED");
  };
  return {
    identify(call) {
      const presented = presentedToken(call);
      if (presented === undefined) {
        if (hasClientRoles) return identifyCertificate(call);
        if (hasTokens()) return anonymous ?? tokenMissing;
        return trustsAll || isLoopback(hostOf(call.peer)) ? everybody : (anonymous ?? tokenNeeded);
      }
      if (ownDigest !== undefined && isSecret(presented, ownDigest)) return owner;
      const bearer = parseBearer(presented);
      const stored = bearer && head.catalog.token(bearer.id);
      // Compared also where there is nothing to compare with: how long it takes does not tell which tokens there are.
      const isRight = isSecret(bearer?.secret ?? "", stored?.secretSha256 ?? NO_DIGEST);
      if (stored?.token === undefined || !isRight) {
        return hasTokens() || hasClientRoles ? tokenUnknown : noTokens;
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
    refuseCall: (identity) => meter.refuseCall(identity),
    openStream: (identity) => meter.openStream(identity),
    onChange: (listener) => head.accessChanges.subscribe(listener),
    admits(identity) {
      if (identity === owner || identity === anonymous) return true;
      const { tokenId, certificateName, expiresAtMs } = identity;
      if (certificateName !== undefined) return expiresAtMs > clock.now();
      if (tokenId === undefined) return !hasClientRoles && !hasTokens();
      return expiresAtMs > clock.now() && head.catalog.token(tokenId) !== undefined;
    },
  };
}

function toIdentity({ id, name, role, environments, expiresAt }: Token, nowMs: number): OrRefusal<Identity> {
  const expiresAtMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : Number(expiresAt.seconds) * 1_000;
  return expiresAtMs <= nowMs ? tokenUnknown : { tokenId: id, name, role, environments, expiresAtMs };
}

const NO_DIGEST = new Uint8Array(32);
const BEARER_SCHEME = /^bearer +(\S+) *$/i;

/** Empty for a header that holds no bearer token: that is a wrong token, not none. */
function presentedToken(call: Caller): string | undefined {
  const authorization = call.header("authorization");
  return authorization === undefined ? undefined : (BEARER_SCHEME.exec(authorization)?.[1] ?? "");
}

/** The host of `host:port`. A listener for IPv6 shows who comes by IPv4 as `::ffff:127.0.0.1`. */
function hostOf(peer: string): string {
  const host = peer.slice(0, Math.max(0, peer.lastIndexOf(":")));
  return host.startsWith("::ffff:") ? host.slice("::ffff:".length) : host;
}

function certificateUnknown(names: readonly string[]): Refusal {
  const message = `the client certificate's names have no role here: ${JSON.stringify(names.slice(0, 8))}`;
  return new Refusal("UNAUTHENTICATED", "CERTIFICATE_UNKNOWN", message);
}

function certificateRefused(reason: string): Refusal {
  return new Refusal("UNAUTHENTICATED", "CERTIFICATE_REFUSED", `the client certificate was not accepted: ${reason}`, {
    metadata: { cause: reason },
  });
}

const credentialMissing = new Refusal(
  "UNAUTHENTICATED",
  "TOKEN_MISSING",
  "this server needs a client certificate that has a role here, or a token: send it as authorization: Bearer …",
);
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
