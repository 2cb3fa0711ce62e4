import { connect as connectTcp, createServer, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  EvaluateRequestSchema,
  EvaluationService,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { createHealthState } from "../../src/server/health.js";
import { ListenProblem, openListener } from "../../src/server/listener.js";
import {
  callByHttp2,
  createManualClock,
  openTestServer,
  settled,
  type TestServer,
  toFrame,
} from "./transport-support.js";

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const WATCH = "/flagwire.v1.EvaluationService/Watch";
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

let server: TestServer;
let sessions: Http2SessionManager;

beforeEach(() => start());
afterEach(async () => {
  sessions.abort();
  await server.listener.stop(0);
});

async function start(options: Parameters<typeof openTestServer>[0] = {}): Promise<void> {
  server = await openTestServer(options);
  sessions = new Http2SessionManager(server.url);
}

async function restart(options: Parameters<typeof openTestServer>[0]): Promise<void> {
  await server.listener.stop(0);
  await start(options);
}

const evaluation = () =>
  createClient(EvaluationService, createGrpcTransport({ baseUrl: server.url, sessionManager: sessions }));

function openSocket(): { socket: Socket; closed: Promise<void>; received: () => string } {
  const socket = connectTcp(server.listener.address.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  return { socket, closed: new Promise((resolve) => socket.on("close", () => resolve())), received: () => text };
}

/** A connection from a port of the client's, 0 for any, to an address of the server's, that speaks HTTP/2. */
async function speakHttp2(to: string, localPort: number): Promise<Socket> {
  const socket = connectTcp({ host: to, port: server.listener.address.port, localAddress: "127.0.0.1", localPort });
  socket.on("error", () => {});
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  // The preface, and empty settings.
  socket.write(Buffer.concat([Buffer.from(PREFACE), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]));
  return socket;
}

async function serverStillAnswers(): Promise<void> {
  expect(await evaluation().evaluate({ flagKey: "f" })).toMatchObject({ flagKey: "f" });
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
}

describe("one port", () => {
  it("speaks gRPC and HTTP/1.1, and tells its connections apart", async () => {
    await serverStillAnswers();
    openSocket();
    await vi.waitFor(() => expect(server.listener.stats().connections).toEqual({ grpc: 1, http: 1, undecided: 1 }));
  });

  it("loses nothing of a request that comes byte by byte", async () => {
    const { socket, received } = openSocket();
    socket.setNoDelay(true);
    for (const byte of "POST /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n") {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(received()).toContain("404 Not Found"));
    socket.destroy();
  });

  it("loses nothing of a preface that comes in two parts", async () => {
    const { socket, received } = openSocket();
    socket.setNoDelay(true);
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(PREFACE.slice(0, 10));
    await vi.waitFor(() => expect(server.listener.stats().connections.undecided).toBe(1));
    socket.write(Buffer.concat([Buffer.from(PREFACE.slice(10)), settings]));
    // The server's own settings, and the acknowledgement of ours.
    await vi.waitFor(() => expect(received()).toContain("\x00\x00\x00\x04\x01\x00\x00\x00\x00"));
    socket.destroy();
  });

  it.each([
    ["nothing", ""],
    ["half a preface", PREFACE.slice(0, 12)],
  ])("closes a connection that sends %s, after its timeout", async (_, bytes) => {
    const clock = createManualClock();
    await restart({ clock });
    const { socket, closed } = openSocket();
    socket.write(bytes);
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(9_999);
    expect(server.listener.stats().connections.undecided).toBe(1);
    clock.advance(1);
    await closed;
    await vi.waitFor(() => expect(server.listener.stats().connections.undecided).toBe(0));
  });

  it("forgets a connection that leaves before it says anything", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const { socket } = openSocket();
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    socket.resetAndDestroy();
    await vi.waitFor(() => expect(clock.pending).toBe(0));
    await serverStillAnswers();
  });

  it("closes a connection that follows the preface with garbage", async () => {
    const { socket, closed } = openSocket();
    socket.write(PREFACE);
    socket.write(Buffer.alloc(4_096, 0xff));
    await closed;
    await serverStillAnswers();
  });

  it.each([
    ["a path of bytes", { ":path": "/\xff\xfe" }],
    ["a malformed deadline", { "grpc-timeout": "soon" }],
    ["a compression that nobody knows", { "grpc-encoding": "zebra" }],
    ["another content type", { "content-type": "application/json" }],
    ["GET", { ":method": "GET" }],
  ])("survives a call with %s", async (_, headers) => {
    const message = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "f" }));
    const { session, stream } = callByHttp2(server.url, EVALUATE, message, headers);
    await new Promise((resolve) => stream.resume().on("close", resolve));
    session.destroy();
    await serverStillAnswers();
  });

  it("answers INTERNAL to a message that claims a compression which it does not have", async () => {
    const frame = toFrame(Buffer.from("garbage"), true);
    const { session, stream } = callByHttp2(server.url, EVALUATE, frame, { "grpc-encoding": "gzip" }, frame);
    const status = await new Promise((resolve) => {
      stream.on("response", (headers) => resolve(headers["grpc-status"]));
      stream.resume();
    });
    expect(status).toBe("13");
    session.destroy();
    await serverStillAnswers();
  });

  it("keeps nothing of clients that come and go", async () => {
    for (let round = 0; round < 20; round += 1) {
      const { session } = callByHttp2(server.url, WATCH, Buffer.alloc(0));
      session.once("connect", () => session.destroy());
      const { socket } = openSocket();
      socket.end("GET / HTTP/1.1\r\n\r\n");
    }
    await vi.waitFor(() => expect(server.listener.stats().connections).toEqual({ grpc: 0, http: 0, undecided: 0 }));
    await serverStillAnswers();
  });
});

describe("a port that cannot be listened on", () => {
  const open = (host: string, port: number) =>
    openListener({
      host,
      port,
      services: [],
      health: createHealthState(),
      log: pino({ level: "silent" }),
      clock: systemClock,
    });

  it("is a problem that says so, if it is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const problem = await open("127.0.0.1", port);
    expect(problem).toBeInstanceOf(ListenProblem);
    expect(problem).toMatchObject({ kind: "port-in-use", message: expect.stringContaining(`127.0.0.1:${port}`) });
    other.close();
  });

  it("is a problem that says so, if the machine has no such address", async () => {
    // Of the block that is for documentation only (RFC 5737).
    expect(await open("192.0.2.1", 0)).toMatchObject({ kind: "address-not-available" });
  });
});

async function statusOf(stream: AsyncIterable<unknown>): Promise<number> {
  try {
    for await (const _ of stream);
  } catch (error) {
    return ConnectError.from(error).code;
  }
  return 0;
}

/** What keeps this process alive; asked while polling, so that the poll's own timers are always among it. */
const heldAlive = async (check: (names: string[]) => void) =>
  vi.waitFor(() =>
    check(
      process
        .getActiveResourcesInfo()
        .filter((name) => /TCP|Timeout|Immediate/.test(name))
        .sort(),
    ),
  );

describe("stopping", () => {
  it("lets calls that run end, and takes no new connections", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const leaving = new AbortController();
    const stream = evaluation().watch({ clientName: "parked" }, { signal: leaving.signal });
    await stream[Symbol.asyncIterator]().next();
    const later = evaluation().evaluate({ flagKey: "never" }, { timeoutMs: 300 });
    later.catch(() => {});
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    let stopped = false;
    const stopping = server.listener.stop(5_000).then(() => {
      stopped = true;
    });
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
    expect(ConnectError.from(await later.catch((error) => error)).code).toBe(4);
    expect(stopped).toBe(false);
    leaving.abort();
    await stopping;
    expect(server.seen.cleanups).toEqual(["parked"]);
  });

  it("destroys what is left at the deadline, and cleans up its handlers", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 60_000 } });
    const parked = statusOf(evaluation().watch({ clientName: "parked" }));
    const { session } = callByHttp2(
      server.url,
      WATCH,
      toBinary(WatchRequestSchema, create(WatchRequestSchema, { clientName: "flood" })),
    );
    await settled(() => server.seen.produced.get("flood"));
    const half = openSocket();
    half.socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-le");
    await vi.waitFor(() => expect(server.listener.stats().connections).toEqual({ grpc: 2, http: 1, undecided: 0 }));

    const stopping = server.listener.stop(5_000);
    clock.advance(5_000);
    await stopping;
    expect(await parked).not.toBe(0);
    await half.closed;
    await vi.waitFor(() => expect(session.destroyed).toBe(true));
    await vi.waitFor(() => expect([...server.seen.cleanups].sort()).toEqual(["flood", "parked"]));
  });

  // Others have one loopback address.
  it.runIf(process.platform === "linux")(
    "waits for both connections of one client's port to two addresses",
    async () => {
      await restart({ host: "0.0.0.0", clock: createManualClock() });
      const first = await speakHttp2("127.0.0.1", 0);
      const second = await speakHttp2("127.0.0.2", first.localPort ?? 0);
      await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(2));
      first.destroy();
      await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(1));
      second.destroy();
      await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(0));
    },
  );

  it("ends idle connections at once", async () => {
    await restart({ clock: createManualClock() });
    await evaluation().evaluate({ flagKey: "f" });
    await fetch(`${server.url}/healthz`);
    const { closed } = openSocket();
    await vi.waitFor(() => expect(server.listener.stats().connections).toMatchObject({ undecided: 1 }));
    await server.listener.stop(3_600_000);
    await closed;
  });

  it("is done sooner if it is asked again with less time", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const parked = statusOf(evaluation().watch({ clientName: "parked" }));
    await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(1));
    const first = server.listener.stop(3_600_000);
    const second = server.listener.stop(10);
    clock.advance(10);
    await Promise.all([first, second]);
    expect(await parked).not.toBe(0);
  });

  it("leaves no timer and no socket", async () => {
    await server.listener.stop(0);
    sessions.abort();
    let before: string[] = [];
    await heldAlive((names) => {
      expect(names.filter((name) => name.startsWith("TCP"))).toEqual([]);
      before = names;
    });
    const clock = createManualClock();
    await start({ clock });
    await evaluation().evaluate({ flagKey: "later" });
    await fetch(`${server.url}/healthz`, { headers: { connection: "close" } });
    for await (const _ of evaluation().watch({ clientName: "one" }));
    await server.listener.stop(1_000);
    sessions.abort();
    await heldAlive((names) => {
      expect(names.filter((name) => name.startsWith("TCP"))).toEqual([]);
      expect(names.length).toBeLessThanOrEqual(before.length);
    });
    expect(clock.pending).toBe(0);
  });
});
