import { type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.js";
import { createHealthState } from "../../src/server/health.js";
import { openTestServer, type TestServer } from "./transport-support.js";

const SERVICE = "flagwire.v1.EvaluationService";

let server: TestServer;
let sessions: Http2SessionManager;

beforeEach(async () => {
  server = await openTestServer();
  sessions = new Http2SessionManager(server.url);
});
afterEach(async () => {
  sessions.abort();
  await server.listener.stop(0);
});

const transports: Record<string, () => Transport> = {
  gRPC: () => createGrpcTransport({ baseUrl: server.url, sessionManager: sessions }),
  Connect: () => createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }),
};

/** Collects the states that a watch tells, and the code that it ends with. */
function watch(client: Client<typeof Health>, service: string) {
  const seen: Status[] = [];
  const leaving = new AbortController();
  const end = (async () => {
    try {
      for await (const { status } of client.watch({ service }, { signal: leaving.signal })) seen.push(status);
      return 0;
    } catch (error) {
      return ConnectError.from(error).code;
    }
  })();
  return { seen, end, leave: () => leaving.abort() };
}

describe.each(Object.keys(transports))("health over %s", (name) => {
  const health = () => createClient(Health, transports[name]?.() as Transport);

  it("tells the state of the server and of every service, its own included", async () => {
    for (const service of ["", SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]) {
      expect(await health().check({ service })).toMatchObject({ status: Status.SERVING });
    }
    server.health.set("not-serving");
    expect(await health().check({ service: SERVICE })).toMatchObject({ status: Status.NOT_SERVING });
  });

  it("answers NOT_FOUND for a service that is not known", async () => {
    const error = await health()
      .check({ service: "nobody.Service" })
      .catch((thrown) => ConnectError.from(thrown));
    expect(error).toMatchObject({ code: 5 });
  });

  it("tells a watcher every change, and of one service only what concerns it", async () => {
    const all = watch(health(), "");
    const one = watch(health(), SERVICE);
    await vi.waitFor(() => expect([all.seen, one.seen]).toEqual([[Status.SERVING], [Status.SERVING]]));
    server.health.set("not-serving", SERVICE);
    await vi.waitFor(() => expect(one.seen).toEqual([Status.SERVING, Status.NOT_SERVING]));
    server.health.set("not-serving");
    await vi.waitFor(() => expect(all.seen).toEqual([Status.SERVING, Status.NOT_SERVING]));
    server.health.set("serving");
    await vi.waitFor(() => expect(one.seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]));
    all.leave();
    one.leave();
    await Promise.all([all.end, one.end]);
  });

  it("tells a watcher of an unknown service so, and goes on when it appears", async () => {
    const { seen, leave, end } = watch(health(), "new.Service");
    await vi.waitFor(() => expect(seen).toEqual([Status.SERVICE_UNKNOWN]));
    server.health.add("new.Service");
    await vi.waitFor(() => expect(seen).toEqual([Status.SERVICE_UNKNOWN, Status.SERVING]));
    leave();
    await end;
  });

  it("ends watches with NOT_SERVING and UNAVAILABLE when the server stops, without waiting for them", async () => {
    const { seen, end } = watch(health(), "");
    await vi.waitFor(() => expect(seen).toEqual([Status.SERVING]));
    await server.listener.stop(3_600_000);
    expect(await end).toBe(14);
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  });
});

describe("a health state", () => {
  it("is not serving at first", () => {
    expect(createHealthState().get("")).toBe("not-serving");
  });

  it("keeps no watcher that has left", async () => {
    let subscribers = 0;
    const { health } = server;
    const { subscribe } = health;
    Object.assign(health, {
      subscribe: (listener: () => void) => {
        subscribers += 1;
        const unsubscribe = subscribe(listener);
        return () => {
          subscribers -= 1;
          unsubscribe();
        };
      },
    });
    const { seen, leave } = watch(createClient(Health, transports.gRPC?.() as Transport), "");
    await vi.waitFor(() => expect([seen.length, subscribers]).toEqual([1, 1]));
    leave();
    await vi.waitFor(() => expect(subscribers).toBe(0));
  });
});
