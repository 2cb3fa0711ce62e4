import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { GrpcSession } from "../../src/client/grpc-session.js";
import { type Mirror, openGrpcTransport, openMirror, openRemote } from "../../src/client/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { type GrpcHubServer, openGrpcHubServer } from "../support/grpc-hub-server.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";

let hub: WatchHub;
let publisher: Publisher;
let server: GrpcHubServer;
const closing: AsyncDisposable[] = [];
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(async () => {
  hub = createWatchHub({ clock: systemClock, random: Math.random });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  server = await openGrpcHubServer(hub);
  rejections.length = 0;
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
});

afterEach(async () => {
  for (const one of closing.splice(0)) await one[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  process.off("unhandledRejection", onRejection);
  process.off("uncaughtException", onRejection);
  expect(rejections).toEqual([]);
});

function track<T extends AsyncDisposable>(one: T): T {
  closing.push(one);
  return one;
}

async function open(options: Parameters<typeof openMirror>[0] = {}): Promise<Mirror> {
  const backoff = { minMs: 5, maxMs: 20 };
  return track(await openMirror({ address: server.address, backoff, ...options }));
}

/** A port where something listens, and says nothing. */
async function openMute(): Promise<{ address: string; sockets: Set<Socket> } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    // Without reading, the end of the connection would not be seen.
    socket.resume();
  });
  mute.listen(0, "127.0.0.1");
  await once(mute, "listening");
  return track({
    address: `127.0.0.1:${(mute.address() as AddressInfo).port}`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => mute.close(resolve));
    },
  });
}

describe("a mirror over gRPC", () => {
  it("follows the server", async () => {
    const mirror = await open({ token: "secret" });
    expect(mirror.boolean("a", false)).toBe(true);
    publisher.commit(booleanFlag("a", 2, "off"));
    await vi.waitFor(() => expect(mirror.boolean("a", true)).toBe(false));
    expect(mirror.digest).toBe(publisher.snapshot.digest);
    expect(server.authorizations).toEqual(["Bearer secret"]);
  });

  it("reconnects when its connection is destroyed, and goes on from its position", async () => {
    const mirror = await open();
    for (const session of server.connections) session.destroy();
    publisher.commit(booleanFlag("a", 2, "off"));
    await vi.waitFor(() => expect(mirror.boolean("a", true)).toBe(false));
    expect(mirror.counts).toMatchObject({ fulls: 1, resyncs: 0 });
    await vi.waitFor(() => expect(server.connections.size).toBe(1));
  });

  it("closes its connection, and the server lets go of the watcher", async () => {
    const mirror = await open();
    expect(hub.counts().watchers).toBe(1);
    await mirror.close();
    await vi.waitFor(() => expect(server.connections.size).toBe(0));
    await vi.waitFor(() => expect(hub.counts().watchers).toBe(0));
  });

  it("rejects at once for a wrong token", async () => {
    await expect(open({ token: "wrong" })).rejects.toMatchObject({
      kind: "refused",
      message: expect.stringContaining("the token is unknown"),
    });
  });

  it("names the address and the cause where nobody listens", async () => {
    await server[Symbol.asyncDispose]();
    await expect(open({ connectTimeoutMs: 50 })).rejects.toThrow(
      new RegExp(`no flags from http://${server.address} within .*ECONNREFUSED`),
    );
  });

  it("gives up a server that says nothing, with its connection", async () => {
    const mute = await openMute();
    const mirror = open({ address: mute.address, connectTimeoutMs: 300, firstMessageTimeoutMs: 50 });
    await vi.waitFor(() => expect(mute.sockets.size).toBe(1));
    await expect(mirror).rejects.toMatchObject({ kind: "connection" });
    await vi.waitFor(() => expect(mute.sockets.size).toBe(0));
  });

  it("can be closed while it connects", async () => {
    const mute = await openMute();
    const mirror = await open({ address: mute.address, waitForReady: false });
    await vi.waitFor(() => expect(mute.sockets.size).toBe(1));
    await mirror.close();
    await vi.waitFor(() => expect(mute.sockets.size).toBe(0));
  });
});

describe("a stream over gRPC", () => {
  it("takes its connection with it when its reader leaves", async () => {
    const transport = openGrpcTransport({ url: new URL(`http://${server.address}`) });
    track({ [Symbol.asyncDispose]: () => transport.close() });
    const request = create(WatchRequestSchema, { environment: "production" });
    for await (const _first of transport.watch(request, new AbortController().signal)) break;
    await vi.waitFor(() => expect(server.connections.size).toBe(0));
  });

  it("leaves no connection where it was given up before there was one", async () => {
    const url = new URL(`http://${server.address}`);
    const session = new GrpcSession({ url, tls: undefined, pingIntervalMs: 20_000, pingTimeoutMs: 1 }, false);
    session.abort();
    const stream = await session.request("POST", "/", {}, {});
    const closed = new Promise((resolve) => stream.on("error", () => {}).on("close", resolve));
    stream.resume().end();
    await closed;
    expect(server.connections.size).toBe(0);
  });

  it("hears of an error after it was given up, which is nobody's any more", async () => {
    const options = {
      url: new URL(`http://${server.address}`),
      tls: undefined,
      pingIntervalMs: 20_000,
      pingTimeoutMs: 1,
    };
    const session = new GrpcSession(options, false);
    const stream = await session.request("POST", "/", {}, {});
    stream.on("error", () => {});
    const connection = stream.session;
    session.abort();
    await vi.waitFor(() => expect(server.connections.size).toBe(0));
    expect(connection?.emit("error", new Error("a protocol error"))).toBe(true);
  });
});

describe("a remote over gRPC", () => {
  it("asks the server", async () => {
    const remote = track(await openRemote({ address: `http://${server.address}`, timeoutMs: 10_000 }));
    expect(await remote.string("f", "", { targetingKey: "u1" })).toBe("f for u1");
    expect(await remote.details("missing", "mine")).toMatchObject({ value: "mine", errorCode: "GENERAL" });
  });

  it("answers the default after its deadline", async () => {
    const remote = track(await openRemote({ address: server.address, timeoutMs: 30 }));
    expect(await remote.details("slow", "mine")).toMatchObject({ value: "mine", errorCode: "GENERAL" });
  });

  it("replaces a connection on which nothing is answered", async () => {
    const mute = await openMute();
    const remote = track(await openRemote({ address: mute.address, timeoutMs: 30 }));
    const seen = new Set<Socket>();
    for (let call = 0; call < 4; call++) {
      await remote.boolean("f", false);
      for (const socket of mute.sockets) seen.add(socket);
    }
    expect(seen.size).toBe(2);
  });

  it("answers the default while the server is away, and recovers by itself", async () => {
    const remote = track(await openRemote({ address: server.address, timeoutMs: 10_000 }));
    await remote.string("f", "");
    for (const session of server.connections) session.destroy();
    await vi.waitFor(async () => expect(await remote.string("f", "mine", { targetingKey: "u" })).toBe("f for u"));
  });
});
