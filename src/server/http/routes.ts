import type { IncomingMessage, ServerResponse } from "node:http";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import type { HealthState } from "../health.js";
import type { Refusal } from "../refusal.js";
import { toConnectError } from "./connect-status.js";

/** A plain answer. */
export interface PlainResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const ABOUT = `Flagwire, a feature-flag service.

This port speaks gRPC, gRPC-Web, Connect and JSON, and the protocols of flagd and
OFREP. Try:

  buf curl --protocol grpc --http2-prior-knowledge --list-methods http://<this address>
  curl -H 'content-type: application/json' -d '{"flagKey":"KEY"}' \\
    http://<this address>/flagwire.v1.EvaluationService/Evaluate

/healthz answers 200 while the process is sound, /readyz while it serves; /metrics
is for Prometheus.
`;

/** Answers what is not a call: the root, the probes, and 404 for the rest. */
export function answerPlain(request: IncomingMessage, response: ServerResponse, health: HealthState): void {
  const path = request.url?.split("?", 1)[0] ?? "";
  const answer = plainResponse(path, health);
  if (answer === undefined) send(request, response, notFound(request, path));
  else if (request.method === "GET" || request.method === "HEAD") send(request, response, answer);
  else {
    response.setHeader("allow", "GET, HEAD");
    send(request, response, json(405, "unimplemented", `${path} answers GET only`));
  }
}

function plainResponse(path: string, health: HealthState): PlainResponse | undefined {
  switch (path) {
    case "/":
      return text(200, ABOUT);
    case "/healthz":
      return text(200, "ok\n");
    case "/readyz":
      return health.get("") === "serving" ? text(200, "serving\n") : text(503, "not serving\n");
    default:
      return undefined;
  }
}

// Connect's clients read the code from the body: for a method it is "unimplemented", as in gRPC.
const METHOD_PATH = /^\/[\w.]+\/\w+$/;

function notFound(request: IncomingMessage, path: string): PlainResponse {
  const isCall = request.method === "POST" && METHOD_PATH.test(path);
  return isCall
    ? json(404, "unimplemented", "the server does not implement this method")
    : json(404, "not_found", "there is nothing here");
}

export function json(status: number, code: string, message: string): PlainResponse {
  return { status, contentType: "application/json", body: `${JSON.stringify({ code, message })}\n` };
}

/** A refusal outside of any call, in the form that Connect's clients read. */
export function refuse(status: number, refusal: Refusal): PlainResponse {
  const body = JSON.stringify(errorToJson(toConnectError(refusal), undefined));
  return { status, contentType: "application/json", body: `${body}\n` };
}

function text(status: number, body: string): PlainResponse {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

export function send(request: IncomingMessage, response: ServerResponse, answer: PlainResponse): void {
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}
