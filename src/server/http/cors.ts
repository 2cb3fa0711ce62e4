import type { IncomingMessage, ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import { isOpenToPages } from "./open-paths.js";
import { json, send } from "./routes.js";

/** Lets pages of some origins call this server. True where the request was a browser's question, and is answered. */
export type AnswerCors = (request: IncomingMessage, response: ServerResponse) => boolean;

const ALLOWED_METHODS = "POST, GET, OPTIONS";
const ALLOWED_HEADERS = [
  ...cors.allowedHeaders,
  "Accept",
  "Authorization",
  "Baggage",
  "Cache-Control",
  "Flagd-Selector",
  "Flagwire-Environment",
  "If-None-Match",
  "Last-Event-ID",
  "Traceparent",
  "Tracestate",
  "X-API-Key",
  "X-Request-Id",
].join(", ");
const EXPOSED_HEADERS = ["ETag", "Retry-After", "X-Request-Id", ...cors.exposedHeaders].join(", ");
/** How long browsers may keep an answer, in seconds: the longest that Chromium does. */
const MAX_AGE = "7200";

/**
 * CORS for origins as browsers send them, or `*`. Without any, nothing is said: browsers then keep pages of other origins
 * from calling, and from reading. Cookies mean nothing to this server, so they are never allowed.
 *
 * This keeps pages out, not people: whoever reaches the port can call it without a browser.
 */
export function createCors(origins: readonly string[]): AnswerCors {
  const isForAll = origins.includes("*");
  const listed = new Set(origins);
  return (request, response) => {
    const { origin } = request.headers;
    const isPreflight = request.method === "OPTIONS" && "access-control-request-method" in request.headers;
    const isOpen = origins.length > 0 && isOpenToPages(request.url?.split("?", 1)[0] ?? "");
    const isAllowed = isOpen && origin !== undefined && (isForAll || listed.has(origin));
    // Also where there is none, or one that is not allowed: a cache must not give that answer to another.
    if (isOpen && !isForAll) response.setHeader("vary", "Origin");
    if (isAllowed) allow(response, isForAll ? "*" : origin);
    if (!isPreflight) return false;
    if (isAllowed) answerPreflight(request, response, isForAll);
    else send(request, response, json(403, "permission_denied", explain(request, isOpen)));
    return true;
  };
}

function allow(response: ServerResponse, origin: string): void {
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
}

function answerPreflight({ headers }: IncomingMessage, response: ServerResponse, isForAll: boolean): void {
  response.setHeader("access-control-allow-methods", ALLOWED_METHODS);
  response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
  response.setHeader("access-control-max-age", MAX_AGE);
  // A page from the internet that calls into a private network: only one that is listed is meant to.
  if (!isForAll && headers["access-control-request-private-network"] === "true") {
    response.setHeader("access-control-allow-private-network", "true");
  }
  response.writeHead(204);
  response.end();
}

/** For who looks into the browser's network panel. */
function explain(request: IncomingMessage, isOpen: boolean): string {
  if (isOpen) return `the server's list of CORS origins does not have ${JSON.stringify(request.headers.origin ?? "")}`;
  return "pages of other origins may not call this";
}
