import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { EvaluateResponseSchema, EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchHub } from "../../src/watch/index.js";

/** A hub behind gRPC on a loopback port, for tests of the client's own transport. */
export interface GrpcHubServer extends AsyncDisposable {
  readonly address: string;
  /** Authorization headers seen. */
  readonly authorizations: (string | null)[];
  /** Connections open now. */
  readonly connections: ReadonlySet<http2.ServerHttp2Session>;
}

export async function openGrpcHubServer(hub: WatchHub): Promise<GrpcHubServer> {
  const authorizations: (string | null)[] = [];
  const adapter = connectNodeAdapter({
    routes: (router) => {
      router.service(EvaluationService, {
        async evaluate({ flagKey, context }, { signal }) {
          if (flagKey === "missing") throw new ConnectError("no such flag", Code.NotFound);
          if (flagKey === "slow") await once(signal, "abort");
          const value = { kind: { case: "stringValue" as const, value: `${flagKey} for ${context?.targetingKey}` } };
          return create(EvaluateResponseSchema, { flagKey, value, variant: "v", reason: "STATIC", revision: 3n });
        },
        async *watch(request, { signal, requestHeader }) {
          authorizations.push(requestHeader.get("authorization"));
          if (requestHeader.get("authorization") === "Bearer wrong") {
            throw new ConnectError("the token is unknown", Code.Unauthenticated);
          }
          for await (const frame of hub.watch(request, signal)) yield frame.message;
          throw new ConnectError("the stream has ended", Code.Unavailable);
        },
      });
    },
  });
  const server = http2.createServer(adapter);
  const connections = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    connections.add(session);
    session.on("close", () => connections.delete(session));
    session.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    authorizations,
    connections,
    async [Symbol.asyncDispose]() {
      for (const session of connections) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
