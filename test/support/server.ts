import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { type FlagwireServer, ListenProblem, openServer, type ServerOptions } from "../../src/server/index.js";
import { isStoreProblem, openLmdbStore, type Store } from "../../src/store/index.js";

/** A server on a port and a data directory of its own, with clients for it. */
export interface TestServer extends AsyncDisposable {
  readonly server: FlagwireServer;
  readonly store: Store;
  /** Host and port. */
  readonly address: string;
  readonly admin: Client<typeof AdminService>;
  readonly evaluation: Client<typeof EvaluationService>;
  /** Calls a method with JSON over HTTP/1.1. */
  json(method: string, body: unknown, headers?: Record<string, string>): Promise<{ status: number; body: unknown }>;
  /** Stops the server and lets go of the data, which stays. */
  stop(): Promise<void>;
}

export interface TestServerOptions extends Partial<Omit<ServerOptions, "store">> {
  /** Default: a new one, removed at the end. */
  readonly path?: string;
  /** Default: plenty. */
  readonly minFreeBytes?: number;
}

export async function openTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const path = options.path ?? (await mkdtemp(join(tmpdir(), "flagwire-test-")));
  const { minFreeBytes = 0 } = options;
  const store = await openLmdbStore({ path, clock: options.clock ?? systemClock, minFreeBytes });
  if (isStoreProblem(store)) throw new Error(store.message);
  const listen = options.listen ?? { host: "127.0.0.1", port: 0 };
  const server = await openServer({ log: pino({ level: "silent" }), ...options, listen, store });
  if (server instanceof ListenProblem) {
    await store.close();
    throw new Error(server.message);
  }
  const address = `${server.address.host}:${server.address.port}`;
  const transport = createGrpcTransport({ baseUrl: `http://${address}` });
  const stop = async () => {
    await server.stop(1_000);
    await store.close();
  };
  return {
    server,
    store,
    address,
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
    async json(method, body, headers = {}) {
      const response = await fetch(`http://${address}/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      if (options.path === undefined) await rm(path, { recursive: true, force: true });
    },
  };
}
