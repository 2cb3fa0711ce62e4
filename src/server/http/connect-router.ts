import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createConnectRouter, createContextValues, type ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { bindMethods } from "../bound-method.js";
import type { Refusal } from "../refusal.js";
import { reportStalled } from "../report-stalled.js";
import { REQUEST_ID_HEADER, requestIdOf } from "../request-id.js";
import { clientCertificateOf } from "../tls/client-certificate.js";
import type { TransportOptions } from "../transport.js";
import { checkBody } from "./checked-body.js";
import { type Exchange, exchangeKey } from "./connect-call.js";
import { toConnectHandler } from "./connect-handlers.js";
import { refuseQuery } from "./refuse-query.js";
import { json, refuse, send } from "./routes.js";
import { unquoted } from "./unquoted-error.js";
import { writeResponse } from "./write-response.js";

// A timer of Node's that is longer fires at once.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Answers a call by Connect, gRPC-Web or plain JSON; false where the path is no method. */
export type ConnectRouter = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * The handlers on HTTP/1.1. Built of connect-node's parts and not by its `connectNodeAdapter`, which answers on Node 20
 * with a writer that hangs (see `writeResponse`), throws at hosts that are no hosts, and logs to the console.
 */
export function createConnectHandlers(options: TransportOptions): ConnectRouter {
  const handlers = new Map<string, UniversalHandler>();
  for (const handler of createRouter(options).handlers) handlers.set(handler.requestPath, handler);
  return (request, response) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler !== undefined) answer(handler, request, response, options);
    return handler !== undefined;
  };
}

const JSON_OPTIONS = {
  strict: { ignoreUnknownFields: false },
  lenient: { ignoreUnknownFields: true, alwaysEmitImplicit: true },
} as const;

function createRouter(options: TransportOptions): ReturnType<typeof createConnectRouter> {
  // gRPC proper needs HTTP/2, which this server never sees.
  const protocols = { grpc: false };
  const router = createConnectRouter({
    ...protocols,
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes: options.limits.maxMessageBytes,
    maxTimeoutMs: MAX_TIMER_MS,
  });
  for (const served of options.services) {
    const bound = bindMethods(served).map((b) => [b.method.localName, toConnectHandler(b, options)]);
    const implementation = Object.fromEntries(bound) as Partial<ServiceImpl<DescService>>;
    // The protocols of a service are its own options' alone.
    router.service(served.service, implementation, {
      ...protocols,
      jsonOptions: JSON_OPTIONS[served.json ?? "strict"],
    });
  }
  return router;
}

function answer(
  handler: UniversalHandler,
  request: IncomingMessage,
  response: ServerResponse,
  options: TransportOptions,
): void {
  const { limits, log, clock } = options;
  const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
  const method = handler.requestPath.slice(1);
  const exchange: Exchange = { peer, certificate: clientCertificateOf(request.socket), answered: false };
  const universal = toUniversal(request, response, exchange);
  if (universal === undefined) {
    send(request, response, json(400, "invalid_argument", "the request's host is missing or malformed"));
    return;
  }
  const malformed = request.method === "GET" ? refuseAddress(universal, handler) : undefined;
  if (malformed !== undefined) {
    send(request, response, refuse(400, malformed));
    return;
  }
  const requestId = (): string => {
    const header = (name: string): string | undefined => request.headers[name]?.toString();
    exchange.requestId ??= requestIdOf({ header, requestId: undefined });
    return exchange.requestId;
  };
  const onStalled = () => {
    requestId();
    reportStalled(exchange, method, options);
    request.socket.destroy();
  };
  const write = async (from: UniversalServerResponse): Promise<void> => {
    if (exchange.answered && from.status !== 200) {
      // Connect's error would quote the message, and nobody would log it.
      response.setHeader(REQUEST_ID_HEADER, requestId());
      log.error({ method, requestId: requestId() }, "the handler's answer cannot be encoded");
      send(request, response, json(500, "internal", "internal error; the server's log has the cause"));
      return;
    }
    const hint = from.body === undefined ? hintFor(from.status, handler) : undefined;
    if (hint !== undefined) {
      send(request, response, json(from.status, "invalid_argument", hint));
      return;
    }
    await writeResponse(exchange.answered ? from : await unquoted(from), response, {
      clock,
      stallTimeoutMs: limits.stallTimeoutMs,
      onStalled,
    });
  };
  handler(checkBody(universal, handler.method.input, limits.maxMessageBytes))
    .then(write)
    .catch((thrown: unknown) => {
      if (ConnectError.from(thrown).code !== Code.Aborted) {
        log.error({ err: thrown, method, requestId: requestId() }, "answer failed");
      }
      response.destroy();
    });
}

/** Why the message in the address of a request is refused; undefined where the method takes none there. */
function refuseAddress(
  { url }: UniversalServerRequest,
  { method, allowedMethods }: UniversalHandler,
): Refusal | undefined {
  return allowedMethods.includes("GET") ? refuseQuery(new URL(url).searchParams, method.input) : undefined;
}

/** What to do about a request that Connect answers with a bare status, as is often typed by hand. */
function hintFor(status: number, { method }: UniversalHandler): string | undefined {
  if (status === 405) return "call this method with POST";
  if (status !== 415) return undefined;
  if (method.methodKind === "unary") return "send JSON with the header content-type: application/json";
  return "this method streams: call it by gRPC, gRPC-Web or Connect's streaming protocol";
}

/** Undefined for an HTTP/1.0 request without a host, or a host that is no host. */
function toUniversal(
  request: IncomingMessage,
  response: ServerResponse,
  exchange: Exchange,
): UniversalServerRequest | undefined {
  try {
    const values = createContextValues().set(exchangeKey, exchange);
    return universalRequestFromNodeRequest(request, response, undefined, values);
  } catch {
    return undefined;
  }
}
