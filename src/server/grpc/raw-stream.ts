import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Refusal } from "../refusal.js";
import { type ClientCertificate, clientCertificateOf } from "../tls/client-certificate.js";
import { parseTimeout } from "./timeout.js";

// What all calls share that are answered on their HTTP/2 streams.

export const RESPONSE_HEADERS = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": "identity,deflate,gzip",
};
export const OK_TRAILERS = { "grpc-status": "0" };
// gRPC has no use for the date.
export const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
export const HEADERS_ONLY = { endStream: true, sendDate: false };

/** The client's address, as grpc-js gives it. A session that was destroyed has none. */
export function peerOf({ session }: ServerHttp2Stream): string {
  const socket = session?.socket;
  return socket?.remoteAddress === undefined ? "unknown" : `${socket.remoteAddress}:${socket.remotePort}`;
}

/** What the client has shown over TLS. */
export function certificateOf({ session }: ServerHttp2Stream): ClientCertificate | undefined {
  return clientCertificateOf(session?.socket);
}

/** The time that the client gives the call, in milliseconds: for ever, if it says nothing. */
export function readTimeout(headers: IncomingHttpHeaders): number | Refusal {
  const header = headers["grpc-timeout"];
  if (header === undefined) return Number.POSITIVE_INFINITY;
  return parseTimeout(String(header)) ?? malformedTimeout(String(header));
}

// As grpc-js answers it, and the other implementations of gRPC do.
function malformedTimeout(timeout: string): Refusal {
  const message = `the header grpc-timeout is malformed: ${JSON.stringify(timeout)}`;
  return new Refusal("INTERNAL", "MALFORMED_TIMEOUT", message);
}
