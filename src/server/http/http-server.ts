import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { responseClosed } from "../observe/observed-response.js";
import type { TransportLimits, TransportOptions } from "../transport.js";
import { createConnectHandlers } from "./connect-router.js";
import { createCors } from "./cors.js";
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
  const answerCors = createCors(options.corsOrigins ?? []);
  const answerRoute = options.createRoutes?.(options) ?? (() => false);
  let draining = false;
  const { meters } = options.observers;
  function onClose(this: ServerResponse): void {
    if (this.headersSent) meters.httpResponded(this.statusCode);
    responseClosed(this);
    if (draining) setImmediate(() => server.closeIdleConnections());
  }
  const server = createServer(toServerOptions(options.limits), (request: IncomingMessage, response: ServerResponse) => {
    if (draining) response.setHeader("connection", "close");
    response.on("close", onClose);
    if (response.socket === null) closeWhileWaiting(request.socket, response);
    toOriginForm(request);
    const refusal = refuseHost(request.headers.host);
    if (refusal !== undefined) {
      send(request, response, refuse(403, refusal));
      return;
    }
    const isAnswered =
      answerCors(request, response) || answerRoute(request, response) || callConnect(request, response);
    if (!isAnswered) answerPlain(request, response, options.health);
  });
  server.keepAliveTimeout = options.limits.keepAliveTimeoutMs;
  // Node arms the timeouts of headers and requests, and knows what is idle, from this event on. This server never
  // listens itself.
  server.emit("listening");
  const sockets = new Set<Socket>();
  return {
    serve(socket) {
      sockets.add(socket);
      // Each answer that waits for its turn has one.
      socket.setMaxListeners(0);
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

/**
 * Closes an answer whose connection closes before it is its turn, because the client did not wait for the answer before it.
 * Node tells that only to the answer that has the connection; what others follow would be followed for ever.
 */
function closeWhileWaiting(socket: Socket, response: ServerResponse): void {
  const close = (): void => {
    if (response.socket !== null) return;
    response.destroy();
    response.emit("close");
  };
  socket.once("close", close);
  response.once("close", () => socket.off("close", close));
}

function toServerOptions(limits: TransportLimits): Parameters<typeof createServer>[0] {
  return {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    maxHeaderSize: limits.maxHeaderBytes,
  };
}
