import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  EvaluateRequestSchema,
  EvaluationService,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import {
  callByHttp2,
  createManualClock,
  openTestServer,
  SECRET,
  settled,
  type TestServer,
  toFrame,
} from "./transport-support.js";

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const WATCH = "/flagwire.v1.EvaluationService/Watch";

let server: TestServer;

beforeEach(async () => {
  server = await openTestServer();
});
afterEach(() => server.listener.stop(0));

async function restart(options: Parameters<typeof openTestServer>[0]): Promise<void> {
  await server.listener.stop(0);
  server = await openTestServer(options);
}

const postJson = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(server.url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });

const transports: Record<string, () => Transport> = {
  Connect: () => createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }),
  "Connect with JSON": () =>
    createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false }),
  "gRPC-Web": () => createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" }),
};

async function failure(call: Promise<unknown> | AsyncIterable<unknown>): Promise<ConnectError> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call);
    else await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call succeeded");
}

describe.each(Object.keys(transports))("%s over HTTP/1.1", (name) => {
  const open = () => transports[name]?.() as Transport;
  const evaluation = () => createClient(EvaluationService, open());
  const admin = () => createClient(AdminService, open());

  it.each(["now", "later"])("answers a unary call whose handler answers %s", async (flagKey) => {
    const answer = await evaluation().evaluate({ flagKey }, { headers: { "x-variant": "on" } });
    expect(answer).toMatchObject({ flagKey, variant: "on", revision: 7n });
  });

  it("tells the handler the client's address", async () => {
    await evaluation().evaluate({ flagKey: "peer" });
    expect(server.seen.peers).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  it("carries a refusal with all its google.rpc details", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused" }));
    expect(error).toMatchObject({ code: 3, rawMessage: "the flag is not valid" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "FLAG_INVALID", domain: "flagwire" }]);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toHaveLength(2);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
  });

  it("carries the message and each detail at a bounded length", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused with long texts" }));
    expect(error.code).toBe(5);
    expect(error.rawMessage).toMatch(/^😀+…$/u);
    expect(error.rawMessage.length).toBeLessThanOrEqual(1_024);
    expect(error.findDetails(ErrorInfoSchema)[0]?.metadata.long).toMatch(/^€+…$/u);
  });

  it.each(["throws", "rejects"])("answers INTERNAL without the cause if the handler %s", async (flagKey) => {
    const error = await failure(evaluation().evaluate({ flagKey }));
    expect(error.code).toBe(13);
    expect(error.message).not.toContain("hunter2");
    expect(JSON.stringify(server.log.find(({ msg }) => msg === "handler failed"))).toContain(SECRET);
  });

  it("answers INTERNAL if the handler's message cannot be encoded", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "malformed" }));
    expect(error.code).toBe(13);
    if (name !== "gRPC-Web") {
      expect(error.rawMessage).toContain("internal error");
      expect(server.log).toContainEqual(expect.objectContaining({ msg: "the handler's answer cannot be encoded" }));
    }
  });

  it("ends with DEADLINE_EXCEEDED at the client's deadline, and aborts the signal", async () => {
    expect((await failure(evaluation().evaluate({ flagKey: "never" }, { timeoutMs: 100 }))).code).toBe(4);
    await vi.waitFor(() => expect(server.seen.aborts).toHaveLength(1));
  });

  it("ends with DEADLINE_EXCEEDED when the server's time limit passes", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const failed = failure(evaluation().evaluate({ flagKey: "never" }));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    clock.advance(30_000);
    await vi.waitFor(() => expect(server.seen.aborts).toEqual(["DEADLINE_EXCEEDED"]));
    expect((await failed).code).toBe(4);
  });

  it("streams every message of a server stream", async () => {
    const revisions: bigint[] = [];
    for await (const { revision } of admin().export({})) revisions.push(revision);
    expect(revisions).toEqual([1n, 2n]);
  });

  it("sends a message that is encoded already", async () => {
    for await (const message of evaluation().watch({ clientName: "encoded" })) {
      expect(message).toMatchObject({ heartbeat: { position: { epoch: "e" } } });
    }
    expect(server.seen.cleanups).toEqual(["encoded"]);
  });

  it("ends a server stream with a refusal's status and details", async () => {
    const error = await failure(evaluation().watch({ clientName: "refused" }));
    expect(error).toMatchObject({ code: 14, rawMessage: "come back" });
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["refused"]));
  });

  it.each(["throws", "throws at once"])("ends a server stream INTERNAL if the handler %s", async (clientName) => {
    const error = await failure(evaluation().watch({ clientName }));
    expect(error.code).toBe(13);
    expect(error.message).not.toContain("hunter2");
  });

  it("runs the handler's cleanup when the client leaves while nothing is sent", async () => {
    const leaving = new AbortController();
    const stream = evaluation().watch({ clientName: "parked" }, { signal: leaving.signal })[Symbol.asyncIterator]();
    await stream.next();
    leaving.abort();
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["parked"]));
    expect(server.seen.aborts).toEqual(["CANCELLED"]);
  });
});

describe("a client stream over Connect", () => {
  it("is answered when the client has ended it", async () => {
    const client = createClient(AdminService, transports.Connect?.() as Transport);
    const parts = async function* () {
      yield { comment: "a" };
      yield { comment: "b" };
    };
    expect(await client.import(parts())).toMatchObject({ revision: 2n });
    expect(server.seen.imports).toEqual(["part a", "part b", "complete"]);
  });

  it("throws in the handler when the client leaves in the middle", async () => {
    const request = post("/flagwire.v1.AdminService/Import", { "content-type": "application/connect+json" });
    request.write(toFrame(Buffer.from('{"comment":"a"}')));
    await vi.waitFor(() => expect(server.seen.imports).toEqual(["part a"]));
    request.destroy();
    await vi.waitFor(() => expect(server.seen.imports).toHaveLength(2));
    expect(server.seen.imports[1]).toMatch(/^aborted/);
  });
});

function post(path: string, headers: Record<string, string>) {
  const request = httpRequest(server.url + path, { method: "POST", headers });
  request.on("error", () => {});
  return request;
}

const jsonPost = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };

describe("plain JSON", () => {
  it("is answered as protobuf's JSON form", async () => {
    const response = await postJson(EVALUATE, '{"flagKey":"f"}');
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({ flagKey: "f", reason: "STATIC", revision: "7" });
  });

  it("is answered to GET where a method has no side effects", async () => {
    const message = encodeURIComponent('{"flagKey":"f"}');
    const response = await fetch(`${server.url}${EVALUATE}?encoding=json&message=${message}`);
    expect(await response.json()).toMatchObject({ flagKey: "f" });
    expect((await fetch(`${server.url}/flagwire.v1.AdminService/CreateFlag?encoding=json&message={}`)).status).toBe(
      405,
    );
  });

  it.each([
    ["an unknown field", '{"flagKye":"f"}', "flagKye"],
    ["an unknown nested field", '{"context":{"targetingKye":"u"}}', "targetingKye"],
    ["a field of another type", '{"flagKey":5}', "flag_key"],
    ["no JSON", "{", "JSON"],
    ["another JSON value", "[]", "JSON"],
  ])("with %s is invalid_argument and named", async (_, body, named) => {
    const response = await postJson(EVALUATE, body);
    expect(response.status).toBe(400);
    const error = (await response.json()) as { code: string; message: string };
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(named);
  });

  it.each([
    ["a value of another type", '{"context":{"targetingKey":4711}}', "targeting_key from JSON: expected string"],
    ["a message that is a text", '{"context":"4711"}', "flagwire.v1.Context from JSON"],
    ["no JSON", '{"context":{"attributes":{"card":4711-11}}}', "from JSON: "],
    ["no JSON, in a word", '{"context":{"attributes":{"card":a4711}}}', "not valid JSON"],
  ])("is told nothing of what stands in %s", async (_, body, named) => {
    const response = await postJson(EVALUATE, body);
    const text = await response.text();
    expect(response.headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
    expect(JSON.parse(text).message).toContain(named);
    expect(text).not.toContain("4711");
  });

  it("that is nested too deep is invalid_argument", async () => {
    const deep = `{"context":{"attributes":{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}}}`;
    const response = await postJson(EVALUATE, deep);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "invalid_argument" });
  });

  it("that is larger than 4 MiB is resource_exhausted", async () => {
    const response = await postJson(EVALUATE, JSON.stringify({ flagKey: "x".repeat(4 * 1024 * 1024) }));
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ code: "resource_exhausted" });
  });

  it("that unpacks to more than 4 MiB is resource_exhausted", async () => {
    const body = gzipSync(JSON.stringify({ flagKey: "x".repeat(5 * 1024 * 1024) }));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const response = await fetch(server.url + EVALUATE, { method: "POST", headers, body });
    expect(await response.json()).toMatchObject({ code: "resource_exhausted" });
  });

  it("that claims a compression which it does not have is invalid_argument", async () => {
    const response = await postJson(EVALUATE, "garbage", { "content-encoding": "gzip" });
    expect(await response.json()).toMatchObject({ code: "invalid_argument" });
  });

  it("is not taken as another content type", async () => {
    expect((await postJson(EVALUATE, "{}", { "content-type": "text/plain" })).status).toBe(415);
    expect((await postJson(EVALUATE, "{}", { "content-type": "application/grpc" })).status).toBe(415);
  });

  it.each([
    ["a content type", EVALUATE, { method: "POST", body: "{}" }, 415, "content-type: application/json"],
    ["another method", EVALUATE, { method: "PUT", body: "{}" }, 405, "with POST"],
    ["streaming", "/flagwire.v1.EvaluationService/Watch", jsonPost, 415, "streams"],
  ])("says what to do where a call lacks %s", async (_what, path, init, status, hint) => {
    const response = await fetch(server.url + path, init);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code: "invalid_argument", message: expect.stringContaining(hint) });
  });

  it("is answered while a timeout is longer than a timer can be", async () => {
    const response = await postJson(EVALUATE, '{"flagKey":"never"}', { "connect-timeout-ms": "9999999999" });
    expect(await response.json()).toMatchObject({ code: "invalid_argument" });
  });
});

describe("a server stream over Connect", () => {
  it("ends with deadline_exceeded at the client's deadline", async () => {
    const response = await fetch(server.url + WATCH, {
      method: "POST",
      headers: { "content-type": "application/connect+json", "connect-timeout-ms": "100" },
      body: toFrame(Buffer.from('{"clientName":"parked"}')),
    });
    expect(await response.text()).toContain('"code":"deadline_exceeded"');
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["parked"]));
    expect(server.seen.aborts).toEqual(["DEADLINE_EXCEEDED"]);
  });

  it.each(["connect-timeout-ms", "grpc-timeout"])(
    "ends with it where %s is over before the request is read",
    async (header) => {
      const [type, time] = header === "grpc-timeout" ? ["grpc-web+json", "0m"] : ["connect+json", "0"];
      const response = await fetch(server.url + WATCH, {
        method: "POST",
        headers: { "content-type": `application/${type}`, [header]: time },
        body: toFrame(Buffer.from('{"clientName":"parked"}')),
      });
      expect(await response.text()).toMatch(/"code":"deadline_exceeded"|grpc-status: 4/);
    },
  );
});

describe("a truncated binary message", () => {
  const bytes = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "a long flag key" }));
  const truncated = bytes.subarray(0, 5);

  it("is invalid_argument by Connect", async () => {
    const headers = { "content-type": "application/proto" };
    const response = await fetch(server.url + EVALUATE, { method: "POST", headers, body: truncated });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "invalid_argument" });
  });

  it("is INVALID_ARGUMENT by gRPC-Web", async () => {
    const headers = { "content-type": "application/grpc-web+proto" };
    const response = await fetch(server.url + EVALUATE, { method: "POST", headers, body: toFrame(truncated) });
    expect(await response.text()).toMatch(/grpc-status: ?3/);
  });
});

describe("plain paths", () => {
  it("say what this is at the root", async () => {
    const response = await fetch(server.url);
    expect(response.headers.get("content-type")).toContain("text/plain");
    expect(await response.text()).toContain("Flagwire");
  });

  it("answer the probes by the health of the server", async () => {
    const status = async (path: string) => (await fetch(server.url + path)).status;
    expect([await status("/healthz"), await status("/readyz")]).toEqual([200, 200]);
    server.health.set("not-serving");
    expect([await status("/healthz"), await status("/readyz")]).toEqual([200, 503]);
    server.health.set("serving");
    expect(await status("/readyz?verbose")).toBe(200);
  });

  it("answer HEAD like GET, and no other method", async () => {
    expect((await fetch(`${server.url}/readyz`, { method: "HEAD" })).status).toBe(200);
    const response = await fetch(`${server.url}/readyz`, { method: "DELETE" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("that are not known are 404, and unimplemented where they name a method", async () => {
    const nothing = await fetch(`${server.url}/nothing/here`);
    expect([nothing.status, await nothing.json()]).toEqual([404, { code: "not_found", message: expect.any(String) }]);
    const method = await postJson("/flagwire.v1.EvaluationService/Nope", "{}");
    expect([method.status, await method.json()]).toMatchObject([404, { code: "unimplemented" }]);
  });
});

/** Sends these bytes and gives all that comes back until the server closes. */
function exchange(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp(server.listener.address.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.write(bytes);
  });
}

describe("a malformed request", () => {
  it.each([
    ["random bytes", Buffer.alloc(256, 0x9c), "400 Bad Request"],
    ["a method call without a host", `POST ${EVALUATE} HTTP/1.0\r\ncontent-length: 0\r\n\r\n`, "400 Bad Request"],
    ["a host that is no host", `POST ${EVALUATE} HTTP/1.1\r\nhost: [\r\nconnection: close\r\n\r\n`, "400 Bad Request"],
    ["too many header bytes", `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, "431 "],
    ["a path of bytes", "GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", "400 Bad Request"],
  ])("of %s is answered, and the server goes on", async (_, bytes, status) => {
    expect(await exchange(bytes)).toContain(status);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  it("whose headers take too long is ended", async () => {
    await restart({ limits: { headersTimeoutMs: 50 } });
    expect(await exchange("GET / HTTP/1.1\r\nhost: localhost\r\nx: ")).toContain("408 Request Timeout");
  });
});

describe("a request's host", () => {
  const ask = (host: string, path = "/healthz") =>
    exchange(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);

  it.each(["localhost", "LocalHost:8013", "127.0.0.1", "127.0.0.1:80", "10.1.2.3:8013", "[::1]:8013"])(
    "%s is answered on loopback",
    async (host) => {
      expect(await ask(host)).toContain("200 OK");
    },
  );

  it.each(["rebound.example", "rebound.example:8013", "localhost.rebound.example", "127.0.0.1.rebound.example", "h"])(
    "%s is refused on loopback, whatever is asked for",
    async (host) => {
      for (const path of ["/healthz", "/nothing", `${EVALUATE}?encoding=json&message={}`]) {
        const answer = await ask(host, path);
        expect(answer).toContain("403 Forbidden");
        expect(answer).toContain('"code":"permission_denied"');
        expect(answer).toContain('"reason":"HOST_NOT_ALLOWED"');
      }
    },
  );

  it("is not looked at where the server listens off loopback", async () => {
    await restart({ host: "0.0.0.0" });
    expect(await ask("flags.example:8013")).toContain("200 OK");
  });

  it("does not matter to gRPC, which browsers cannot speak", async () => {
    const message = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "f" }));
    const { session, stream } = callByHttp2(server.url, EVALUATE, message, { ":authority": "rebound.example" });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    session.destroy();
    expect(Buffer.concat(chunks).toString("latin1")).toContain("STATIC");
  });
});

describe("a request whose target is a whole URL", () => {
  const body = '{"flagKey":"f"}';
  const ask = (target: string, host = "localhost") =>
    exchange(
      `POST ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );

  it.each(["http://localhost:8013", "HTTP://127.0.0.1", "https://localhost"])("at %s is answered", async (origin) => {
    const answer = await ask(origin + EVALUATE);
    expect(answer).toContain("200 OK");
    expect(answer).toContain('"flagKey":"f"');
  });

  it("may have a query, or nothing but a host", async () => {
    expect(await ask(`http://localhost${EVALUATE}?x=/y`)).toContain("200 OK");
    expect(await exchange("GET http://localhost HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).toContain(
      "Flagwire",
    );
    expect(await ask("http://localhost/nothing")).toContain("404 Not Found");
  });

  it("is for the host in the URL and not for the one in the header", async () => {
    expect(await ask(`http://rebound.example${EVALUATE}`, "localhost")).toContain("403 Forbidden");
    expect(await ask(`http://localhost${EVALUATE}`, "rebound.example")).toContain("200 OK");
  });
});

describe("a client that does not read over HTTP/1.1", () => {
  function watchWithoutReading(clientName: string): Promise<{ socket: Socket; response: IncomingMessage }> {
    return new Promise((resolve) => {
      const request = post(WATCH, { "content-type": "application/connect+json" });
      request.on("response", (response) => {
        response.on("error", () => {});
        resolve({ socket: response.socket, response });
      });
      request.end(toFrame(Buffer.from(toJsonString(WatchRequestSchema, create(WatchRequestSchema, { clientName })))));
    });
  }

  it("is cut off, counted and logged, and others never notice", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const { socket } = await watchWithoutReading("flood");
    await settled(() => server.seen.produced.get("flood"));
    clock.advance(4_999);
    expect((await postJson(EVALUATE, '{"flagKey":"f"}')).status).toBe(200);
    expect(server.seen.cleanups).toEqual([]);

    clock.advance(1);
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["flood"]));
    expect(server.listener.stats().stalledClients).toBe(1);
    expect(server.log).toContainEqual(
      expect.objectContaining({ method: WATCH.slice(1), clientName: "flood", stallTimeoutMs: 5_000 }),
    );
    expect((await postJson(EVALUATE, '{"flagKey":"f"}')).status).toBe(200);
    socket.destroy();
  });

  it("has its handler cleaned up when it leaves, and is not taken for stalled", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const { socket } = await watchWithoutReading("flood");
    await settled(() => server.seen.produced.get("flood"));
    socket.destroy();
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["flood"]));
    expect(clock.pending).toBe(0);
    expect(server.listener.stats().stalledClients).toBe(0);
  });

  it("is cut off when it does not take a large unary answer", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const socket = connectTcp(server.listener.address.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    const body = '{"flagKey":"large"}';
    socket.write(
      `POST ${EVALUATE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    await vi.waitFor(() => {
      clock.advance(5_000);
      expect(server.listener.stats()).toMatchObject({ stalledClients: 1, connections: { http: 0 } });
    });
    socket.destroy();
  });
});
