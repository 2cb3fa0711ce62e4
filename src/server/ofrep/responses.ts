import type { IncomingMessage, ServerResponse } from "node:http";
import { nameResponse } from "../http/name-response.js";
import type { Refusal, RefusalCode } from "../refusal.js";
import { toStatusMessage } from "../status.js";
import type { OfrepTarget } from "./target.js";

const STATUSES: Partial<Record<RefusalCode, number>> = {
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  INTERNAL: 500,
};
/** OFREP's own error codes; a refusal for any other reason is GENERAL. */
const ERROR_CODES: ReadonlySet<string> = new Set(["PARSE_ERROR", "INVALID_CONTEXT", "FLAG_NOT_FOUND"]);
const WITHOUT_CODE: ReadonlySet<number> = new Set([401, 403, 500]);

/** Answers a request with a refusal. What is unknown but a flag is 400: clients take 404 for a flag. */
export function sendRefusal(response: ServerResponse, refusal: Refusal, target: OfrepTarget): void {
  const errorDetails = toStatusMessage(refusal);
  const { retryAfterMs } = refusal.details;
  if (refusal.code === "RESOURCE_EXHAUSTED" && retryAfterMs !== undefined) {
    sendProblem(response, 429, errorDetails, { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) });
    return;
  }
  if (target.kind === "events") {
    sendProblem(response, refusal.code === "NOT_FOUND" ? 404 : (STATUSES[refusal.code] ?? 400), errorDetails);
    return;
  }
  const { reason } = refusal;
  const status = reason === "FLAG_NOT_FOUND" ? 404 : (STATUSES[refusal.code] ?? 400);
  if (WITHOUT_CODE.has(status)) {
    sendProblem(response, status, errorDetails, status === 401 ? { "www-authenticate": "Bearer" } : {});
    return;
  }
  const key = target.kind === "flag" ? { key: target.key ?? "" } : {};
  const errorCode = ERROR_CODES.has(reason) ? reason : "GENERAL";
  sendJson(response, status, JSON.stringify({ ...key, errorCode, errorDetails }));
}

/** Answers what OFREP has no error code for. */
export function sendProblem(
  response: ServerResponse,
  status: number,
  errorDetails: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, status, JSON.stringify({ errorDetails }));
}

const ALWAYS = ["cache-control", "no-store", "x-content-type-options", "nosniff"] as const;

export function sendJson(
  response: ServerResponse,
  status: number,
  json: string | Buffer,
  sizeBytes = Buffer.byteLength(json),
  etag?: string,
): void {
  // An array is what Node writes without a copy.
  const headers = ["content-type", "application/json", "content-length", String(sizeBytes), ...ALWAYS];
  if (etag !== undefined) headers.push("etag", etag);
  if (status >= 400) nameResponse(response);
  response.writeHead(status, headers);
  response.end(json);
}

/** Answers another method than those that a target takes. */
export function sendMethodNotAllowed(request: IncomingMessage, response: ServerResponse, method: "POST" | "GET"): void {
  response.setHeader("allow", `${method}, OPTIONS`);
  if (request.method === "OPTIONS") {
    response.writeHead(204);
    response.end();
  } else sendProblem(response, 405, `call this with ${method}`);
}
