import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "pino";
import type { Clock } from "../base/index.js";
import { createGrpcServer, type GrpcServer } from "./grpc/grpc-server.js";
import type { ServedService } from "./handlers.js";
import { createHealthService, type HealthState } from "./health.js";
import { createHttpServer, type HttpServer } from "./http/http-server.js";
import { peekProtocol } from "./preface.js";
import { createReflectionServices } from "./reflection.js";
import { defaultTransportLimits, type TransportLimits } from "./transport.js";

/** Accepts connections and hands over sockets with clear text: `net`, or `tls` once its handshake is done. */
export type SocketServerFactory = (onConnection: (socket: Socket) => void) => Server;

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
  readonly unaryBy?: "stream" | "grpc-js";
  /** Default: plain TCP. */
  readonly createSocketServer?: SocketServerFactory;
}

/** One port that speaks gRPC, and Connect, gRPC-Web and JSON over HTTP/1.1. */
export interface Listener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
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
  const transport = { ...options, limits, services, onStalled };
  const grpc = createGrpcServer(transport);
  const http = createHttpServer(transport);
  const undecided = new Set<Socket>();
  const accept = (socket: Socket): void => {
    undecided.add(socket);
    socket.once("close", () => undecided.delete(socket));
    peekProtocol(socket, { clock: options.clock, timeoutMs: limits.prefaceTimeoutMs }, (protocol) => {
      undecided.delete(socket);
      (protocol === "http2" ? grpc : http).serve(socket);
    });
  };
  const server = (options.createSocketServer ?? createTcpServer)(accept);
  const problem = await listen(server, options);
  if (problem !== undefined) {
    grpc.destroy();
    http.drain();
    return problem;
  }
  const stop = createStop({ server, grpc, http, undecided, health: options.health, clock: options.clock });
  return {
    address: toAddress(server, options),
    stats: () => ({
      connections: { grpc: grpc.connections, http: http.connections, undecided: undecided.size },
      stalledClients,
    }),
    stop,
    [Symbol.asyncDispose]: () => stop(0),
  };
}

// Without delay: answers are small, and wait for nothing.
const createTcpServer: SocketServerFactory = (onConnection) => createServer({ noDelay: true }, onConnection);

function listen(server: Server, { host, port, log }: ListenerOptions): Promise<ListenProblem | undefined> {
  return new Promise((resolve) => {
    server.once("error", (error) => resolve(toListenProblem(error, host, port)));
    server.listen({ host, port }, () => {
      // From now on: no descriptor was left for a connection, or the like. The next one may do better.
      server.on("error", (err) => log.error({ err }, "accepting a connection failed"));
      resolve(undefined);
    });
  });
}

function toListenProblem(error: NodeJS.ErrnoException, host: string, port: number): ListenProblem {
  const where = `${host}:${port}`;
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

function toAddress(server: Server, options: ListenerOptions): Listener["address"] {
  const address = server.address();
  return typeof address === "object" && address !== null
    ? { host: address.address, port: address.port }
    : { host: options.host, port: options.port };
}

interface Parts {
  readonly server: Server;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly undecided: ReadonlySet<Socket>;
  readonly health: HealthState;
  readonly clock: Clock;
}

function createStop({ server, grpc, http, undecided, health, clock }: Parts): Listener["stop"] {
  let stopped: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    health.set("not-serving");
    health.end();
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
