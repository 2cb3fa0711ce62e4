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
  | "a refusal";

/** Those that may be better later. */
export const badServers = ["nobody", "silence", "noise", "an old server"] as const satisfies BadServer[];

export interface OpenBadServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** One on loopback. */
export async function openBadServer(kind: BadServer): Promise<OpenBadServer> {
  const sockets = new Set<Socket>();
  const isRefusal = kind === "a refusal";
  const http = createHttpServer((_request, response) => response.writeHead(isRefusal ? 401 : 404).end());
  const http2 = createHttp2Server();
  http2.on("stream", (stream) => {
    const headers = {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": isRefusal ? 16 : 12,
    };
    stream.respond(headers, { endStream: true });
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    if (kind === "silence") socket.resume();
    if (kind === "noise") socket.resume().end("\u0000\u0001noise\r\n\r\n");
    if (kind !== "an old server" && !isRefusal) return;
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
