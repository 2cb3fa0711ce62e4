import { type Client, type ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";

/** A connection of its own to a port of this machine. */
export interface Connection {
  readonly admin: Client<typeof AdminService>;
  readonly evaluation: Client<typeof EvaluationService>;
  /** Drops it at once; the next call makes a new one. */
  drop(): void;
}

export function connectTo(port: number): Connection {
  const baseUrl = `http://127.0.0.1:${port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return {
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
    drop: () => sessionManager.abort(),
  };
}

/** Whether a server said so itself; else the connection broke, or the client gave up. */
export function isStatus(error: ConnectError): boolean {
  return error.metadata.has("grpc-status");
}
