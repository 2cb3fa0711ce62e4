import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { completeWebOptions } from "../../src/server/web-options.js";
import { openTestServer, type TestServer } from "../support/server.js";

const PAGE = "https://app.example.com";
const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const BULK = "/ofrep/v1/evaluate/flags";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Not `fetch`, which keeps some headers for itself. */
function call(server: TestServer, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`http://${server.address}${path}`, { method, headers, agent: false }, (response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(method === "POST" ? "{}" : undefined);
  });
}

function preflight(server: TestServer, path: string, origin: string, more: Record<string, string> = {}) {
  return call(server, "OPTIONS", path, { origin, "access-control-request-method": "POST", ...more });
}

function corsHeaders({ headers }: Answer): string[] {
  return Object.keys(headers).filter((name) => name === "vary" || name.startsWith("access-control-"));
}

let closed: TestServer;
let listed: TestServer;
let open: TestServer;

beforeAll(async () => {
  closed = await openTestServer();
  listed = await openTestServer({ web: { corsOrigins: [PAGE, "http://localhost:3000"] } });
  open = await openTestServer({ web: { corsOrigins: ["*"] } });
});

afterAll(async () => {
  for (const server of [closed, listed, open]) await server[Symbol.asyncDispose]();
});

const post = { "content-type": "application/json" };

describe("a server without origins", () => {
  it("refuses preflights", async () => {
    const answer = await preflight(closed, EVALUATE, PAGE);
    expect(answer.status).toBe(403);
    expect(corsHeaders(answer)).toEqual([]);
  });

  it("says nothing of origins in an answer", async () => {
    expect(corsHeaders(await call(closed, "POST", BULK, { ...post, origin: PAGE }))).toEqual([]);
  });
});

describe("a page of a listed origin", () => {
  it.each([EVALUATE, "/flagd.evaluation.v1.Service/ResolveAll", BULK, `/${BULK}`, `${BULK}/a%20flag`, "/ofrep/v1/sse"])(
    "may call %s",
    async (path) => {
      const { status, headers, body } = await preflight(listed, path, PAGE);
      expect(status).toBe(204);
      expect(body).toBe("");
      expect(headers["access-control-allow-origin"]).toBe(PAGE);
      expect(headers["access-control-allow-methods"]).toBe("POST, GET, OPTIONS");
      expect(headers["access-control-max-age"]).toBe("7200");
      expect(headers["access-control-allow-credentials"]).toBeUndefined();
      expect(headers.vary).toBe("Origin");
    },
  );

  it("may send what clients of every protocol send", async () => {
    const { headers } = await preflight(listed, EVALUATE, PAGE);
    const allowed = headers["access-control-allow-headers"]?.toLowerCase().split(", ") ?? [];
    const sent =
      "content-type if-none-match authorization x-api-key flagd-selector flagwire-environment connect-protocol-version connect-timeout-ms x-grpc-web x-user-agent grpc-timeout last-event-id traceparent tracestate baggage x-request-id";
    expect(allowed).toEqual(expect.arrayContaining(sent.split(" ")));
  });

  it("may read an answer and what its headers tell", async () => {
    const { status, headers } = await call(listed, "POST", BULK, { ...post, origin: PAGE });
    expect(status).toBe(200);
    expect(headers["access-control-allow-origin"]).toBe(PAGE);
    expect(headers.vary).toBe("Origin");
    const exposed = headers["access-control-expose-headers"]?.toLowerCase().split(", ") ?? [];
    expect(exposed).toEqual(
      expect.arrayContaining([
        "etag",
        "retry-after",
        "x-request-id",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
      ]),
    );
  });

  it("may read a refusal by Connect", async () => {
    const { status, headers } = await call(listed, "POST", EVALUATE, { ...post, origin: PAGE });
    expect(status).toBe(400);
    expect(headers["access-control-allow-origin"]).toBe(PAGE);
    expect(headers.vary).toBe("Origin");
  });

  it.each([
    "/flagwire.v1.AdminService/UpdateFlag",
    "/flagwire.v1.EvaluationService/Watch",
    "/flagwire.v1.EvaluationService/ReportUsage",
    "/flagd.sync.v1.FlagSyncService/FetchAllFlags",
    "/readyz",
  ])("may not call %s", async (path) => {
    const asked = await preflight(listed, path, PAGE);
    expect(asked.status).toBe(403);
    expect(JSON.parse(asked.body)).toEqual({
      code: "permission_denied",
      message: "pages of other origins may not call this",
    });
    expect(corsHeaders(asked)).toEqual([]);
    expect(corsHeaders(await call(listed, "POST", path, { ...post, origin: PAGE }))).toEqual([]);
  });

  it("may call into a private network", async () => {
    const asked = { "access-control-request-private-network": "true" };
    const { headers } = await preflight(listed, EVALUATE, PAGE, asked);
    expect(headers["access-control-allow-private-network"]).toBe("true");
  });
});

describe("a page of another origin", () => {
  it.each(["https://app.example.com.evil.test", "http://app.example.com", "https://app.example.com:8443", "null"])(
    "such as %s may not call",
    async (origin) => {
      const answer = await preflight(listed, EVALUATE, origin);
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toMatchObject({ message: expect.stringContaining(JSON.stringify(origin)) });
      expect(corsHeaders(answer)).toEqual(["vary"]);
    },
  );

  it("may call where all may", async () => {
    const { status, headers } = await preflight(open, EVALUATE, "https://any.example");
    expect(status).toBe(204);
    expect(headers["access-control-allow-origin"]).toBe("*");
    expect(headers.vary).toBeUndefined();
  });

  it("may not call into a private network where all may call", async () => {
    const asked = { "access-control-request-private-network": "true" };
    const { headers } = await preflight(open, EVALUATE, PAGE, asked);
    expect(headers["access-control-allow-private-network"]).toBeUndefined();
  });

  it("may not call as another host, by a name that was made to resolve to this machine", async () => {
    const answer = await preflight(open, EVALUATE, "http://evil.test", { host: "evil.test" });
    expect(answer.status).toBe(403);
    expect(answer.body).toContain("evil.test");
    expect(corsHeaders(answer)).toEqual([]);
  });
});

describe("an origin that is none", () => {
  it.each([
    ["", "one such as https://app.example.com"],
    ["app.example.com", "one such as https://app.example.com"],
    ["null", "one such as https://app.example.com"],
    ["https://x.test/path", "write https://x.test"],
    ["https://x.test/", "write https://x.test"],
    ["https://x.test:443", "write https://x.test"],
    ["HTTPS://X.test", "write https://x.test"],
    ["https://user@x.test", "write https://x.test"],
    ["https://*.x.test", "one such as https://app.example.com"],
    ["capacitor://localhost/", "write capacitor://localhost"],
  ])("such as %j is refused at the start", (origin, hint) => {
    const complete = () => completeWebOptions({ corsOrigins: [PAGE, origin] });
    expect(complete).toThrow(hint);
    expect(complete).toThrow(JSON.stringify(origin));
  });
});

describe("a server with tokens", () => {
  it("answers preflights without one, and lets a page read that it needs one", async () => {
    const server = await openTestServer({ web: { corsOrigins: [PAGE] } });
    onTestFinished(() => server[Symbol.asyncDispose]());
    const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    for (const path of [EVALUATE, BULK]) {
      const asked = await preflight(server, path, PAGE, { "access-control-request-headers": "authorization" });
      expect(asked.status).toBe(204);
      expect(asked.headers["access-control-allow-headers"]).toContain("Authorization");
      const refused = await call(server, "POST", path, { ...post, origin: PAGE });
      expect(refused.status).toBe(401);
      expect(refused.headers["access-control-allow-origin"]).toBe(PAGE);
      const headers = { ...post, origin: PAGE, authorization: `Bearer ${bearer}` };
      expect((await call(server, "POST", path, headers)).status).not.toBe(401);
    }
  });
});
