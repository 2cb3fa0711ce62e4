import type { IncomingHttpHeaders } from "node:http2";

/** Headers of the protocol itself, which are nothing of a handler's. */
const RESERVED: ReadonlySet<string> = new Set([
  "accept-encoding",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "te",
]);

const ASCII_VALUE = /^[ -~]*$/;

/**
 * Puts a readable text in the place of a token that gRPC does not allow. Values like that are dropped when they are read, by
 * grpc-js too, and a call would look as if it had presented none.
 */
export function markUnreadableToken(headers: IncomingHttpHeaders): void {
  const { authorization } = headers;
  if (authorization !== undefined && !ASCII_VALUE.test(authorization)) headers.authorization = "unreadable";
}

/**
 * A request header by its lower-case name, as grpc-js reads it: binary ones (`-bin`) are decoded, and of several the first
 * counts. Undefined for those of the protocol, and for values that gRPC does not allow.
 */
export function readHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const given = headers[name];
  if (given === undefined || name.startsWith(":") || RESERVED.has(name)) return undefined;
  if (name.endsWith("-bin")) return decodeBinary(given, name);
  const [first] = typeof given === "string" ? [given] : given;
  return first !== undefined && ASCII_VALUE.test(first) ? first : undefined;
}

function decodeBinary(given: string | string[], name: string): string | undefined {
  // HTTP joins values with commas, which base64 does not have; gRPC's own headers come once.
  const [first] = typeof given !== "string" ? given : name.startsWith("grpc-") ? [given] : given.split(",");
  return first === undefined ? undefined : Buffer.from(first.trim(), "base64").toString();
}
