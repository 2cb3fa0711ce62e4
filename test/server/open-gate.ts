import { Role } from "../../gen/flagwire/v1/access_pb.js";
import type { Gate } from "../../src/server/access/gate.js";
import type { Identity } from "../../src/server/access/identity.js";
import { Refusal } from "../../src/server/refusal.js";

/** A caller who may do everything. */
export const anybody: Identity = {
  tokenId: undefined,
  name: "anonymous",
  role: Role.ADMIN,
  environments: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

/** Lets in whoever presents no token, as a server without tokens does. */
export const openGate: Gate = {
  identify: (call) =>
    call.header("authorization") === undefined
      ? anybody
      : new Refusal("UNAUTHENTICATED", "TOKEN_UNKNOWN", "the token is not known to this server"),
  identifyTicket: () => anybody,
  ticketFor: () => undefined,
  refuseCall: () => undefined,
  openStream: () => () => undefined,
  onChange: () => () => undefined,
  admits: () => true,
};
