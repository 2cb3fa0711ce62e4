import { createServer, type Socket } from "node:net";
import type { Logger } from "pino";
import type { Clock } from "../base/index.js";
import { createGrpcServer, type GrpcServer } from "./grpc/grpc-server.js";
import type { ServedService } from "./handlers.js";
import { createHealthService, type HealthState } from "./health.js";
import { createHttpServer, type HttpServer } from "./http/http-server.js";
import { CallMeters } from "./metrics/call-meters.js";
import { CallObservers } from "./observe/call-observers.js";
import { peekProtocol } from "./preface.js";
import { createReflectionServices } from "./reflection.js";
import type { KeyMaterialSource } from "./tls/key-material.js";
import { TlsTerminator } from "./tls/tls-terminator.js";
import type { CallTracing } from "./tracing/call-tracing.js";
import { defaultTransportLimits, type TransportLimits, type TransportOptions } from "./transport.js";

/** Where connections come from: a port, or a process that has one. Gives sockets as they were accepted. */
export interface SocketSource {
  /** Begins. Gives the address that clients connect to, or why there is none. */
  open(onConnection: (socket: Socket) => void): Promise<ServerAddress | ListenProblem>;
  /** Takes no more connections. Resolves when those that it gave are closed. */
  close(): Promise<void>;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ListenerOptions {
  /** The address to listen on. */
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** What to serve, beside health and reflection. */
  readonly services: readonly ServedService[];
  readonly health: HealthState;
  readonly log: Logger;
  readonly clock: Clock;
  /** Default: each of `defaultTransportLimits`. */
  readonly limits?: Partial<TransportLimits>;
  /** See TransportOptions. */
  readonly answeredBy?: "stream" | "grpc-js";
  /** See TransportOptions. */
  readonly corsOrigins?: readonly string[];
  /** See TransportOptions. */
  readonly createRoutes?: NonNullable<TransportOptions["createRoutes"]>;
  /** Where calls are counted. Default: where nobody looks. */
  readonly meters?: CallMeters;
  /** How calls are traced. Default: not at all. */
  readonly tracing?: CallTracing | undefined;
  /** Default: TCP, at `host` and `port`. */
  readonly source?: SocketSource;
  /** What to speak TLS with. Default: clear text. */
  readonly tls?: KeyMaterialSource | undefined;
}

/** One port that speaks gRPC, and Connect, gRPC-Web and JSON over HTTP/1.1. */
export interface Listener extends AsyncDisposable {
  readonly address: ServerAddress;
  stats(): ListenerStats;
  /**
   * Takes no more connections and calls; lets those that run end for so many milliseconds, then destroys them. Sets
   * the health to not serving and ends its watches. Resolves when no connection is left. A second call can only
   * shorten the time.
   */
  stop(deadlineMs: number): Promise<void>;
}

export interface ListenerStats {
  /** Open connections by what they speak; `undecided` have not said yet. */
  readonly connections: { readonly grpc: number; readonly http: number; readonly undecided: number };
  /** Clients that were cut off because they did not read. */
  readonly stalledClients: number;
}

/** Why a port cannot be listened on. */
export class ListenProblem {
  constructor(
    readonly kind: "port-in-use" | "not-permitted" | "address-not-available" | "other",
    /** For people: what is wrong and what to do. */
    readonly message: string,
  ) {}
}

/** Serves on one port, or says why it cannot. */
export async function openListener(options: ListenerOptions): Promise<Listener | ListenProblem> {
  const limits = { ...defaultTransportLimits, ...options.limits };
  const core = [...options.services, createHealthService(options.health)];
  const services = [...core, ...createReflectionServices(core.map(({ service }) => service))];
  for (const { service } of services) options.health.add(service.typeName);
  let stalledClients = 0;
  const onStalled = () => {
    stalledClients += 1;
  };
  const observers = new CallObservers(
    options.meters ?? new CallMeters(options.clock),
    options,
    options.tracing,
    options.log,
  );
  const transport = { ...options, limits, services, observers, onStalled };
  const grpc = createGrpcServer(transport);
  const http = createHttpServer(transport);
  const undecided = new Set<Socket>();
  const decide = (socket: Socket): void => {
    undecided.add(socket);
    socket.once("close", () => undecided.delete(socket));
    peekProtocol(socket, { clock: options.clock, timeoutMs: limits.prefaceTimeoutMs }, (protocol) => {
      undecided.delete(socket);
      (protocol === "http2" ? grpc : http).serve(socket);
    });
  };
  const { log, tls: material } = options;
  const handshakeTimeoutMs = limits.prefaceTimeoutMs;
  const tls = material && new TlsTerminator({ material, handshakeTimeoutMs, log, onSecure: decide });
  const source = options.source ?? createTcpSource(options);
  const address = await source.open(tls === undefined ? decide : (socket) => tls.accept(socket));
  if (address instanceof ListenProblem) {
    tls?.close();
    grpc.destroy();
    http.drain();
    return address;
  }
  const stop = createStop({ source, tls, grpc, http, undecided, health: options.health, clock: options.clock });
  return {
    address,
    stats: () => ({
      connections: {
        grpc: grpc.connections,
        http: http.connections,
        undecided: undecided.size + (tls?.handshakes ?? 0),
      },
      stalledClients,
    }),
    stop,
    [Symbol.asyncDispose]: () => stop(0),
  };
}

export interface TcpSourceOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly log: Logger;
  /** Whether to read nothing, so that a socket can be handed to another process whole. Default false. */
  readonly pauseOnConnect?: boolean;
}

/**
 * How many connections may wait to be accepted, where the system allows as many. Node's 511 make most of a herd try again
 * after 1, 3 and 7 s.
 */
const BACKLOG = 4_096;

export function createTcpSource({ host, port, log, pauseOnConnect = false }: TcpSourceOptions): SocketSource {
  // Without delay: answers are small, and wait for nothing.
  const server = createServer({ noDelay: true, pauseOnConnect });
  return {
    open: (onConnection) =>
      new Promise((resolve) => {
        server.on("connection", onConnection);
        server.once("error", (error) => resolve(toListenProblem(error, host, port)));
        server.listen({ host, port, backlog: BACKLOG }, () => {
          // From now on: no descriptor was left for a connection, or the like. The next one may do better.
          server.on("error", (err) => log.error({ err }, "accepting a connection failed"));
          const address = server.address();
          const isKnown = typeof address === "object" && address !== null;
          resolve(isKnown ? { host: address.address, port: address.port } : { host, port });
        });
      }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function toListenProblem(error: NodeJS.ErrnoException, host: string, port: number): ListenProblem {
  const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return new ListenProblem("port-in-use", `${where} is in use; stop what listens there or choose another port`);
    case "EACCES":
      return new ListenProblem("not-permitted", `no permission to listen on ${where}; choose a port above 1023`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new ListenProblem("address-not-available", `this machine has no address ${host}; try 127.0.0.1`);
    default:
      return new ListenProblem("other", `cannot listen on ${where}: ${error.message}`);
  }
}

interface Parts {
  readonly source: SocketSource;
  readonly tls: TlsTerminator | undefined;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly undecided: ReadonlySet<Socket>;
  readonly health: HealthState;
  readonly clock: Clock;
}

function createStop({ source, tls, grpc, http, undecided, health, clock }: Parts): Listener["stop"] {
  let stopped: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    const closed = source.close();
    health.set("not-serving");
    health.end();
    tls?.close();
    for (const socket of undecided) socket.destroy();
    http.drain();
    await Promise.all([closed, grpc.drain()]);
  };
  const force = (): void => {
    grpc.destroy();
    http.destroy();
  };
  return async (deadlineMs) => {
    stopped ??= drain();
    const stopTimer = clock.after(deadlineMs, force);
    await stopped;
    stopTimer();
  };
}
