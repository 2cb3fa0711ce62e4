import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Clock } from "../base/index.js";
import type { ServedService } from "./handlers.js";
import type { HealthState } from "./health.js";
import type { CallObservers } from "./observe/call-observers.js";

/** Bounds on what one client may ask for. */
export interface TransportLimits {
  /** The largest request message, in bytes. Default 4 MiB, gRPC's own default. */
  readonly maxMessageBytes: number;
  /**
   * How long a unary handler may take, and over gRPC how long its request may take to arrive, in milliseconds. Default 30 s:
   * beyond that nobody waits for a flag.
   */
  readonly unaryTimeoutMs: number;
  /**
   * How long one message may wait for its client to take it, in milliseconds; then the client's connection is destroyed, or
   * only the call where it is a unary one over gRPC. Also how long a client may pause between the messages of a client
   * stream. Default 30 s.
   */
  readonly stallTimeoutMs: number;
  /** How long a new connection may take to say what it speaks, in milliseconds. Default 10 s. */
  readonly prefaceTimeoutMs: number;
  /** How long the headers of an HTTP/1.1 request may take, in milliseconds. Default 10 s; stops slow-loris clients. */
  readonly headersTimeoutMs: number;
  /** How long a whole HTTP/1.1 request may take to arrive, in milliseconds. Default 5 min, for large imports. */
  readonly requestTimeoutMs: number;
  /** The largest header block of an HTTP/1.1 request, in bytes. Default 16 KiB, Node's own default. */
  readonly maxHeaderBytes: number;
  /** How long an idle HTTP/1.1 connection is kept, in milliseconds. Default 65 s: longer than common proxies keep it. */
  readonly keepAliveTimeoutMs: number;
  /** Calls at a time on one HTTP/2 connection. Default 1,000: the protocol's own default is unlimited. */
  readonly maxConcurrentStreams: number;
  /** How often HTTP/2 connections are pinged, in milliseconds. Default 30 s: proxies drop what is silent for longer. */
  readonly pingIntervalMs: number;
  /** How long a ping may go unanswered, in milliseconds. Default 10 s. */
  readonly pingTimeoutMs: number;
  /** How long an HTTP/2 connection without calls is kept, in milliseconds. Default 5 min: health probes leave them. */
  readonly maxConnectionIdleMs: number;
}

const MIB = 1024 * 1024;

export const defaultTransportLimits: TransportLimits = {
  maxMessageBytes: 4 * MIB,
  unaryTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
  prefaceTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 300_000,
  maxHeaderBytes: 16 * 1024,
  keepAliveTimeoutMs: 65_000,
  maxConcurrentStreams: 1_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
  maxConnectionIdleMs: 300_000,
};

/** Answers an HTTP/1.1 request that is no call of a service; false where it is not one of its own. */
export type HttpRoutes = (request: IncomingMessage, response: ServerResponse) => boolean;

/** What every transport is made of. */
export interface TransportOptions {
  /** The address that the server was told to listen on. */
  readonly host: string;
  readonly services: readonly ServedService[];
  readonly health: HealthState;
  readonly log: Logger;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  /**
   * What answers unary gRPC calls, and streams whose handlers give cursors: this server on their HTTP/2 streams, or grpc-js, as it
   * answers all others. The two differ in little but speed. Default: this server.
   */
  readonly answeredBy?: "stream" | "grpc-js";
  /** See WebOptions; each passes `corsOriginProblem`. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Makes what HTTP/1.1 answers beside the services. Default nothing. */
  readonly createRoutes?: (options: TransportOptions) => HttpRoutes;
  /** Count calls, and trace them. */
  readonly observers: CallObservers;
  /** Called when a client that did not read was cut off. */
  readonly onStalled: () => void;
}
