import type { PeerCertificate } from "node:tls";
import type { Deadline, Metadata } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { Clock } from "../../base/index.js";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import type { CallObservers } from "../observe/call-observers.js";
import type { Client } from "../report-stalled.js";
import { cancelledByClient, deadlineExceeded } from "../status.js";
import { type ClientCertificate, toClientCertificate } from "../tls/client-certificate.js";
import type { TransportLimits } from "../transport.js";

/** What grpc-js's four kinds of calls have in common. */
export interface SurfaceCall {
  readonly metadata: Metadata;
  getPeer(): string;
  getDeadline(): Deadline;
  /** Empty without a certificate that was verified. */
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate | undefined };
  once(event: "cancelled", listener: () => void): unknown;
}

/** What an adapter of one call may use of its server. */
export interface GrpcHost {
  readonly limits: TransportLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observers: CallObservers;
  /** Destroys the connection of a client that does not read. */
  cutOff(client: Client, method: string): void;
  /** Counts and logs a client that did not read and was cut off. */
  reportStalled(client: Client, method: string): void;
}

/** A call that came through grpc-js. */
export class GrpcCall extends CallScope implements Call {
  readonly #surface: SurfaceCall;
  clientName: string | undefined;

  constructor(surface: SurfaceCall) {
    super();
    this.#surface = surface;
  }

  get peer(): string {
    return this.#surface.getPeer();
  }

  get certificate(): ClientCertificate | undefined {
    const { sslPeerCertificate } = this.#surface.getAuthContext();
    return sslPeerCertificate && toClientCertificate(sslPeerCertificate);
  }

  header(name: string): string | undefined {
    return this.#surface.metadata.get(name)[0]?.toString();
  }

  /** Aborts with the client, or at its deadline. grpc-js says `cancelled` after a finished call too. */
  followClient(clock: Clock): void {
    // A call whose time was over before its client had asked is handled all the same, and `cancelled` was said before.
    if (Number(this.#surface.getDeadline()) <= clock.now()) this.abort(deadlineExceeded);
    this.#surface.once("cancelled", () => {
      const expired = Number(this.#surface.getDeadline()) <= clock.now();
      this.abort(expired ? deadlineExceeded : cancelledByClient);
    });
  }
}
