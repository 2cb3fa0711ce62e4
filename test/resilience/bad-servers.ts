import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** What a client may find where it looks for a server. */
export type BadServer =
  /** A port that nobody listens on. */
  | "nobody"
  /** Accepts connections, and never says anything. */
  | "silence"
  /** Answers with what no protocol knows. */
  | "noise"
  /** A server that does not have the method: UNIMPLEMENTED over gRPC, 404 over HTTP/1.1. */
  | "an old server"
  /** A server that does not know the token: UNAUTHENTICATED over gRPC, 401 over HTTP/1.1. */
  | "a refusal"
  /** A server whose limits are used up: RESOURCE_EXHAUSTED over gRPC, 429 over HTTP/1.1. */
  | "a limit";

/** Those that may be better later. */
export const badServers = ["nobody", "silence", "noise", "an old server", "a limit"] as const satisfies BadServer[];

export interface OpenBadServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** Of those that answer. */
const statuses: Partial<Record<BadServer, { readonly grpc: number; readonly http: number }>> = {
  "an old server": { grpc: 12, http: 404 },
  "a refusal": { grpc: 16, http: 401 },
  "a limit": { grpc: 8, http: 429 },
};

/** One on loopback. */
export async function openBadServer(kind: BadServer): Promise<OpenBadServer> {
  const sockets = new Set<Socket>();
  const status = statuses[kind];
  const http = createHttpServer((_request, response) =>
    response.writeHead(status?.http ?? 500, status?.http === 429 ? { "retry-after": "1" } : {}).end(),
  );
  const http2 = createHttp2Server();
  http2.on("stream", (stream) => {
    const headers = {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": status?.grpc,
    };
    stream.respond(headers, { endStream: true });
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    if (kind === "silence") socket.resume();
    if (kind === "noise") socket.resume().end("\u0000\u0001noise\r\n\r\n");
    if (status === undefined) return;
    // HTTP/2 begins with `PRI`.
    socket.once("readable", () => {
      const start: Buffer | null = socket.read();
      if (start === null) return;
      socket.unshift(start);
      (start.toString("latin1").startsWith("PRI") ? http2 : http).emit("connection", socket);
    });
  });
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { address: host, port } = server.address() as AddressInfo;
  if (kind === "nobody") await close();
  return {
    host,
    port,
    address: `${host}:${port}`,
    [Symbol.asyncDispose]: kind === "nobody" ? async () => {} : close,
  };
}
