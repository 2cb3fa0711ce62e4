import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TransportLimits, TransportOptions } from "../transport.js";
import { createConnectHandlers } from "./connect-router.js";
import { createHostCheck } from "./host-check.js";
import { toOriginForm } from "./request-target.js";
import { answerPlain, refuse, send } from "./routes.js";

/** HTTP/1.1 over sockets that somebody else accepted. */
export interface HttpServer {
  /** Speaks HTTP/1.1 on a connection. */
  serve(socket: Socket): void;
  /** How many connections are open. */
  readonly connections: number;
  /** Closes connections that are idle, now and from now on. */
  drain(): void;
  /** Ends every call and connection now. */
  destroy(): void;
}

export function createHttpServer(options: TransportOptions): HttpServer {
  const callConnect = createConnectHandlers(options);
  const refuseHost = createHostCheck(options.host);
  let draining = false;
  const server = createServer(toServerOptions(options.limits), (request: IncomingMessage, response: ServerResponse) => {
    if (draining) response.setHeader("connection", "close");
    response.once("close", () => {
      if (draining) setImmediate(() => server.closeIdleConnections());
    });
    toOriginForm(request);
    const refusal = refuseHost(request.headers.host);
    if (refusal !== undefined) send(request, response, refuse(403, refusal));
    else if (!callConnect(request, response)) answerPlain(request, response, options.health);
  });
  server.keepAliveTimeout = options.limits.keepAliveTimeoutMs;
  // Node arms the timeouts of headers and requests, and knows what is idle, from this event on. This server never
  // listens itself.
  server.emit("listening");
  const sockets = new Set<Socket>();
  return {
    serve(socket) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      server.emit("connection", socket);
    },
    get connections() {
      return sockets.size;
    },
    drain() {
      draining = true;
      server.close();
      server.closeIdleConnections();
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function toServerOptions(limits: TransportLimits): Parameters<typeof createServer>[0] {
  return {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    maxHeaderSize: limits.maxHeaderBytes,
  };
}
