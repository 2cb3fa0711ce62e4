import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { PostJson } from "./ask.js";

/** A running server, by gRPC and by JSON over HTTP/1.1. */
export interface Server {
  readonly admin: Client<typeof AdminService>;
  readonly evaluation: Client<typeof EvaluationService>;
  readonly post: PostJson;
  close(): void;
}

export function openServer(baseUrl: string, token: string | undefined): Server {
  const sessionManager = new Http2SessionManager(baseUrl);
  const authorize: Interceptor = (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [authorize],
    defaultTimeoutMs: 30_000,
  });
  const headers = {
    "content-type": "application/json",
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return {
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
    async post(method, body) {
      const url = `${baseUrl}/flagwire.v1.EvaluationService/${method}`;
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
      const text = await response.text();
      return { status: response.status, body: parse(text) };
    },
    close: () => sessionManager.abort(),
  };
}

/** The text itself where it is not JSON, so that a report shows what came instead. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
