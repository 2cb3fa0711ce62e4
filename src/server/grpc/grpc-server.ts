import type { Socket } from "node:net";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type BoundMethod, bindMethods } from "../bound-method.js";
import { type Client, reportStalled } from "../report-stalled.js";
import type { TransportLimits, TransportOptions } from "../transport.js";
import { bidiHandler, serverStreamHandler } from "./answer-pump.js";
import { type GrpcMethod, toGrpcMethod } from "./codec.js";
import { Connections } from "./connections.js";
import { divertStreams } from "./divert-streams.js";
import type { GrpcHost } from "./grpc-call.js";
import { RawStreams } from "./raw-streams.js";
import { clientStreamHandler, unaryHandler } from "./respond-once.js";

/** gRPC over sockets that somebody else accepted. */
export interface GrpcServer {
  /** Speaks gRPC on a connection whose first bytes, still unread, are the HTTP/2 preface. */
  serve(socket: Socket): void;
  /** How many connections are open. */
  readonly connections: number;
  /** Takes no more calls. Resolves when those that run have ended. */
  drain(): Promise<void>;
  /** Ends every call and connection now. */
  destroy(): void;
}

export function createGrpcServer(options: TransportOptions): GrpcServer {
  // grpc-js writes to the console what it cannot parse, with its content. The setting is one for the whole process.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(toServerOptions(options.limits));
  const connections = new Connections();
  const report = (client: Client, method: string): void => reportStalled(client, method, options);
  // The only public way to be rid of a call whose client does not read: ending, destroying or failing it all wait behind
  // flow control. It costs the client its other calls on this connection too.
  const cutOff = (client: Client, method: string): void => {
    const open = connections.of(client.peer).filter((socket) => !socket.destroyed);
    // Where several of its calls stall, the first costs it all of them.
    if (open.length === 0) return;
    report(client, method);
    for (const socket of open) socket.destroy();
  };
  const host: GrpcHost = { ...options, cutOff, reportStalled: report };
  const raw = new RawStreams(host);
  for (const served of options.services) {
    const methods = bindMethods(served);
    const definition: Record<string, GrpcMethod> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const bound of methods) {
      definition[bound.method.localName] = toGrpcMethod(bound);
      implementation[bound.method.localName] = toImplementation(bound, host);
      raw.add(bound);
    }
    server.addService(definition, implementation);
  }
  // TLS ends at the listener, so its sockets are "insecure" here.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const diversion = options.answeredBy === "grpc-js" ? { ...raw, pick: () => undefined } : raw;
  if (!divertStreams(server, diversion)) {
    options.log.warn(
      "this version of grpc-js is not known: calls are slower, streams take more memory, and malformed tokens are overlooked",
    );
  }
  return {
    serve(socket) {
      connections.add(socket);
      injector.injectConnection(socket);
    },
    get connections() {
      return connections.size;
    },
    drain: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
        // grpc-js waits forever for a session that is just being destroyed when it is asked: Node does not call back then.
        connections.whenEmpty(resolve);
      }),
    destroy() {
      server.forceShutdown();
      connections.destroy();
    },
  };
}

function toServerOptions(limits: TransportLimits): ConstructorParameters<typeof Server>[0] {
  return {
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.keepalive_time_ms": limits.pingIntervalMs,
    "grpc.keepalive_timeout_ms": limits.pingTimeoutMs,
    "grpc.max_connection_idle_ms": limits.maxConnectionIdleMs,
    // On by default, costs time per call, and has leaked.
    "grpc.enable_channelz": 0,
  };
}

function toImplementation(bound: BoundMethod, host: GrpcHost): UntypedHandleCall {
  switch (bound.kind) {
    case "unary":
      return unaryHandler(bound, bound.handle, host) as UntypedHandleCall;
    case "client_streaming":
      return clientStreamHandler(bound, bound.handle, host) as UntypedHandleCall;
    case "server_streaming":
      return serverStreamHandler(bound, bound.handle, host) as UntypedHandleCall;
    case "bidi_streaming":
      return bidiHandler(bound, bound.handle, host) as UntypedHandleCall;
  }
}
