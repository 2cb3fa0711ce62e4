import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService, WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { PositionSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { ClientRegistry, joinListings } from "../../src/server/clients/client-registry.js";
import { watchHandler } from "../../src/server/watch.js";
import { createWatchHub } from "../../src/watch/index.js";
import { booleanFlag, openServer, type RestartableServer, refusalOf } from "./admin-support.js";

const PATIENCE = { timeout: 10_000, interval: 10 };

function connect({ address }: Pick<RestartableServer, "address">, bearer?: string) {
  const present = (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
    if (bearer !== undefined) request.header.set("authorization", `Bearer ${bearer}`);
    return next(request as never);
  };
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, interceptors: [present] as never });
  return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
}

/** Opens a stream, waits for its first update, and goes on reading. Gives what ends it. */
async function watch({ evaluation }: Pick<ReturnType<typeof connect>, "evaluation">, request: object) {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const messages = evaluation.watch(request, { signal: ending.signal })[Symbol.asyncIterator]();
  await messages.next();
  const read = async (): Promise<void> => {
    while (!(await messages.next()).done);
  };
  void read().catch(() => undefined);
  return () => ending.abort();
}

describe("connected clients", () => {
  it("are told by name, with what they were sent, for as long as their stream is open", async () => {
    const server = await openServer();
    const openedMs = Date.now();
    const close = await watch(server, { clientName: "web", clientVersion: "1.2.3" });
    await watch(server, { clientName: "api" });
    const { clients, totalCount, revision } = await server.admin.listClients({});
    expect(clients).toMatchObject([
      { clientName: "api", clientVersion: "", environment: "production", revision },
      { clientName: "web", clientVersion: "1.2.3", environment: "production", revision, tokenName: "" },
    ]);
    expect(totalCount).toBe(2);
    const [first] = clients;
    expect(first?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    const sinceMs = first?.connectedSince === undefined ? 0 : timestampMs(first.connectedSince);
    expect(sinceMs).toBeGreaterThanOrEqual(openedMs);
    close();
    await vi.waitFor(async () => {
      expect((await server.admin.listClients({})).clients.map(({ clientName }) => clientName)).toEqual(["api"]);
    }, PATIENCE);
  });

  it("move on with the updates that they are sent", async () => {
    const server = await openServer();
    await watch(server, { clientName: "web" });
    const { revision } = await server.admin.createFlag({ flag: booleanFlag("a") });
    await vi.waitFor(async () => {
      expect((await server.admin.listClients({})).clients).toMatchObject([{ revision }]);
    }, PATIENCE);
  });

  it("are not those that ask for one update only", () => {
    const hub = createWatchHub({ clock: systemClock, random: systemRandom });
    hub.reset("production", { position: create(PositionSchema), digest: "", items: [] });
    const clients = new ClientRegistry(systemClock);
    const call = { signal: new AbortController().signal, header: () => undefined, peer: "" };
    for (const once of [true, false]) {
      watchHandler({ hub, clients }).open?.(
        create(WatchRequestSchema, { clientName: `once: ${once}`, once }),
        call,
        () => {},
      );
    }
    expect(clients.list({ environments: [], limit: 10 }).clients).toMatchObject([{ clientName: "once: false" }]);
  });

  it("are told of one environment, or of all that the caller may see", async () => {
    const server = await openServer();
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const { bearer: root } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const admin = connect(server, root);
    const withToken = async (name: string, role: Role, environments: string[]) => {
      const { bearer } = await admin.admin.createToken({ token: { name, role, environments } });
      return connect(server, bearer);
    };
    const reader = await withToken("staging reader", Role.READER, ["staging"]);
    const evaluator = await withToken("browser", Role.EVALUATOR, []);
    await watch(admin, { clientName: "p" });
    await watch(reader, { clientName: "s" });
    const seen = async (by: typeof admin, environment = "") => {
      const { clients, totalCount } = await by.admin.listClients({ environment });
      expect(totalCount).toBe(clients.length);
      return clients.map(({ clientName, environment, tokenName }) => `${clientName} ${environment} ${tokenName}`);
    };
    expect(await seen(admin)).toEqual(["p production root", "s staging staging reader"]);
    expect(await seen(admin, "staging")).toEqual(["s staging staging reader"]);
    expect(await seen(reader)).toEqual(["s staging staging reader"]);
    expect(await refusalOf(seen(reader, "production"))).toMatchObject({ code: "PermissionDenied" });
    expect(await refusalOf(seen(evaluator))).toMatchObject({ code: "PermissionDenied" });
    expect(await refusalOf(seen(admin, "nope"))).toMatchObject({ reason: "ENVIRONMENT_NOT_FOUND" });
  });

  it("may not call their version anything longer than 64 characters", async () => {
    const server = await openServer();
    const refusal = refusalOf(watch(server, { clientVersion: "x".repeat(65) }));
    expect(await refusal).toMatchObject({ code: "InvalidArgument", fields: ["client_version"] });
  });

  it("are told up to the limit, the first by name, and counted beyond it", () => {
    const registry = new ClientRegistry(systemClock);
    const other = new ClientRegistry(systemClock);
    for (let n = 0; n < 30; n++) {
      const client = {
        clientName: `client ${String(n).padStart(2, "0")}`,
        clientVersion: "",
        environment: n % 3 === 0 ? "staging" : "production",
        peer: "",
        revision: 1n,
        connectedSinceMs: 0,
        tokenName: "",
      };
      (n % 2 === 0 ? registry : other).add({ client });
    }
    const query = { environments: ["staging"], limit: 3 };
    const { clients, totalCount } = joinListings([other.list(query), registry.list(query)], query);
    expect(clients.map(({ clientName }) => clientName)).toEqual(["client 00", "client 03", "client 06"]);
    expect(totalCount).toBe(10);
  });
});
