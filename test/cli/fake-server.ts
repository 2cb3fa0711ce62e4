import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** A server that answers over gRPC as a test wants: for what happens on the wire. */
export interface FakeServer extends AsyncDisposable {
  readonly address: string;
  /** Cuts every connection, as a process that is killed does. */
  cut(): void;
}

export async function openFakeServer(routes: (router: ConnectRouter) => void): Promise<FakeServer> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer(connectNodeAdapter({ routes }));
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      for (const session of sessions) session.destroy();
      sessions.clear();
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
