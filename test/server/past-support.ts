import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import type { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Clock, systemClock } from "../../src/base/index.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";

/** A server that ends with the test and keeps so many transactions, of which it reads back all but the last. */
export async function openForgetfulServer(maxEntries: number, clock: Clock = systemClock) {
  const store = await openMemoryStore({ history: { maxEntries }, window: { maxEntries: 1 } });
  const server = await openServer({
    listen: { host: "127.0.0.1", port: 0 },
    store,
    clock,
    log: pino({ level: "silent" }),
  });
  if (server instanceof ListenProblem) throw new Error(server.message);
  onTestFinished(async () => {
    await server.stop(1_000);
    await store.close();
  });
  return clientsOf(`${server.address.host}:${server.address.port}`);
}

/** Clients of a server, with a token or without. */
export function clientsOf(address: string, token?: string) {
  const transport = createGrpcTransport({
    baseUrl: `http://${address}`,
    interceptors: [
      (next) => (request) => {
        if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return {
    address,
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
  };
}

export type Clients = ReturnType<typeof clientsOf>;

/** Clients with a token of their own. `root` may create it. */
export async function clientsWith(root: Clients, role: Role, environments: string[] = []): Promise<Clients> {
  const { bearer } = await root.admin.createToken({ token: { name: "someone", role, environments } });
  return clientsOf(root.address, bearer);
}
