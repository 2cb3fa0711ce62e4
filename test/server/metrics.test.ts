import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { metricDefinitions } from "../../src/server/metrics/metric-definitions.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { describedMetrics, parseMetrics } from "./metrics-support.js";

const root = resolve(import.meta.dirname, "../..");

let server: TestServer;

beforeEach(async () => {
  server = await openTestServer();
});

afterEach(() => server[Symbol.asyncDispose]());

async function scrape(headers: Record<string, string> = {}) {
  const response = await fetch(`http://${server.address}/metrics`, { headers });
  return { status: response.status, headers: response.headers, ...parseMetrics(await response.text()) };
}

async function createFlag(key: string): Promise<void> {
  const variants = {
    on: { kind: { case: "boolValue" as const, value: true } },
    off: { kind: { case: "boolValue" as const, value: false } },
  };
  await server.admin.createFlag({ flag: { key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants } });
}

const EVALUATE = { service: "flagwire.v1.EvaluationService", method: "Evaluate" };

describe("GET /metrics", () => {
  it("counts calls by method, protocol and status", async () => {
    await createFlag("a");
    await server.evaluation.evaluate({ flagKey: "a" });
    await server.evaluation.evaluate({ flagKey: "none" }).catch(() => undefined);
    await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a" });
    await server.json("ofrep/v1/evaluate/flags/none", { context: {} });
    const { value } = await scrape();
    expect(value("flagwire_calls_total", { ...EVALUATE, protocol: "grpc", code: "OK" })).toBe(1);
    expect(value("flagwire_calls_total", { ...EVALUATE, protocol: "grpc", code: "NOT_FOUND" })).toBe(1);
    expect(value("flagwire_calls_total", { ...EVALUATE, protocol: "connect", code: "OK" })).toBe(1);
    expect(value("flagwire_calls_total", { protocol: "ofrep", method: "flag", code: "NOT_FOUND" })).toBe(1);
    expect(value("flagwire_calls_in_flight", { ...EVALUATE, protocol: "grpc" })).toBe(0);
    expect(value("flagwire_http_responses_total", { status: "404" })).toBe(1);
  });

  it("has the time of every call in one bucket", async () => {
    await createFlag("a");
    for (let count = 0; count < 5; count++) await server.evaluation.evaluate({ flagKey: "a" });
    const { value } = await scrape();
    const labels = { ...EVALUATE, protocol: "grpc" };
    expect(value("flagwire_call_duration_seconds_count", labels)).toBe(5);
    expect(value("flagwire_call_duration_seconds_bucket", { ...labels, le: "+Inf" })).toBe(5);
    expect(value("flagwire_call_duration_seconds_sum", labels)).toBeGreaterThan(0);
  });

  it("has open streams in flight, and counts them once they end", async () => {
    const stop = new AbortController();
    const stream = server.evaluation.watch({}, { signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    const labels = { method: "Watch", protocol: "grpc" };
    const during = await scrape();
    expect(during.value("flagwire_calls_in_flight", labels)).toBe(1);
    expect(during.value("flagwire_watchers", { environment: "production" })).toBe(1);
    expect(during.value("flagwire_watch_updates_total", { kind: "full" })).toBe(1);
    stop.abort();
    await stream.next().catch(() => undefined);
    await expect.poll(async () => (await scrape()).value("flagwire_calls_in_flight", labels)).toBe(0);
    const after = await scrape();
    expect(after.value("flagwire_calls_total", { ...labels, code: "CANCELLED" })).toBe(1);
    expect(after.value("flagwire_watchers", { environment: "production" })).toBe(0);
  });

  it("tells what is stored, and what became of commits", async () => {
    const before = await scrape();
    await createFlag("a");
    const { value } = await scrape();
    const committed = { result: "committed" };
    const commits = "flagwire_store_commits_total";
    expect(value(commits, committed)).toBe((before.value(commits, committed) ?? 0) + 1);
    expect(value("flagwire_store_commit_duration_seconds_count", {})).toBe(value(commits, committed));
    expect(value("flagwire_flags", { environment: "production" })).toBe(1);
    expect(value("flagwire_head_revision", {})).toBe(value("flagwire_store_newest_revision", {}));
    expect(value("flagwire_head_lag_revisions", {})).toBe(0);
    expect(value("flagwire_usage_evaluations_total", {})).toBe(0);
  });

  it("is in OpenMetrics for who takes that", async () => {
    await createFlag("a");
    const response = await fetch(`http://${server.address}/metrics`, {
      headers: { accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" },
    });
    const text = await response.text();
    expect(response.headers.get("content-type")).toMatch(/^application\/openmetrics-text/);
    expect(text.endsWith("# EOF\n")).toBe(true);
    expect(text).toMatch(/^# TYPE flagwire_calls counter$/m);
    expect(text).toMatch(/^flagwire_calls_total\{/m);
    expect(text).not.toMatch(/_total_total/);
  });

  it("answers GET and HEAD only", async () => {
    const response = await fetch(`http://${server.address}/metrics`, { method: "POST", body: "" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("has no label that a client can make up", async () => {
    const odd = "name-that-a-client-made-up";
    await server.evaluation.evaluate({ flagKey: odd }).catch(() => undefined);
    await server.evaluation.evaluate({ flagKey: odd, environment: odd }).catch(() => undefined);
    await server.evaluation.reportUsage({ clientName: odd, reportId: odd, counts: [] });
    await server.json(`flagwire.v1.EvaluationService/${odd}`, {});
    const response = await fetch(`http://${server.address}/metrics?x=${odd}`);
    expect(await response.text()).not.toContain(odd);
  });
});

describe("once there is a token, /metrics", () => {
  async function createToken(role: Role, environments: string[] = []): Promise<Record<string, string>> {
    const headers: Record<string, string> = admin === undefined ? {} : { authorization: `Bearer ${admin}` };
    const name = `token-${role}-${environments.length}`;
    const { bearer } = await server.admin.createToken({ token: { name, role, environments } }, { headers });
    admin ??= bearer;
    return { authorization: `Bearer ${bearer}` };
  }
  let admin: string | undefined;
  beforeEach(async () => {
    admin = undefined;
    await createToken(Role.ADMIN);
  });

  it("is for readers of every environment", async () => {
    expect((await scrape()).status).toBe(401);
    expect((await scrape(await createToken(Role.EVALUATOR))).status).toBe(403);
    expect((await scrape(await createToken(Role.READER, ["production"]))).status).toBe(403);
    expect((await scrape(await createToken(Role.READER))).status).toBe(200);
  });

  it("counts who was refused, by reason", async () => {
    await server.evaluation.evaluate({ flagKey: "a" }).catch(() => undefined);
    const evaluator = await createToken(Role.EVALUATOR);
    await server.admin.listFlags({}, { headers: evaluator }).catch(() => undefined);
    await server.json("ofrep/v1/evaluate/flags", {});
    const ofProduction = await createToken(Role.EVALUATOR, ["production"]);
    await server.json("ofrep/v1/evaluate/flags?environment=staging", {}, ofProduction);
    const { value } = await scrape(await createToken(Role.READER));
    expect(value("flagwire_access_refused_total", { reason: "TOKEN_MISSING" })).toBe(2);
    expect(value("flagwire_access_refused_total", { reason: "ROLE_INSUFFICIENT" })).toBe(1);
    expect(value("flagwire_access_refused_total", { reason: "ENVIRONMENT_NOT_PERMITTED" })).toBe(1);
    expect(value("flagwire_tokens", {})).toBe(4);
  });
});

describe("docs/metrics.md", () => {
  const doc = describedMetrics(readFileSync(resolve(root, "docs/metrics.md"), "utf8"));

  it("describes every metric of a running server, with its type and labels", async () => {
    await createFlag("a");
    const { types, labelsOf } = await scrape();
    expect([...types.keys()].filter((name) => !doc.has(name))).toEqual([]);
    for (const [name, type] of types) expect([name, doc.get(name)?.type]).toEqual([name, type]);
    for (const [name, labels] of labelsOf) {
      const described = doc.get(name)?.labels ?? [];
      expect([name, labels.filter((label) => !described.includes(label))]).toEqual([name, []]);
    }
  });

  it("says of our own metrics what they say of themselves", () => {
    const own = Object.entries(metricDefinitions).map(([name, { type, labels, help }]) => ({
      name,
      type,
      labels: [...labels],
      help,
    }));
    expect([...doc].flatMap(([name, more]) => (name.startsWith("flagwire_") ? [{ name, ...more }] : []))).toEqual(own);
  });
});

describe("the Grafana dashboard", () => {
  const text = readFileSync(resolve(root, "deploy/grafana/flagwire.json"), "utf8");
  const expressions = [...text.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].map(([, expression]) => expression ?? "");

  it("uses metrics that a running server has, with labels that they have", async () => {
    const doc = describedMetrics(readFileSync(resolve(root, "docs/metrics.md"), "utf8"));
    const { types } = await scrape();
    const used = expressions.flatMap((expression) => expression.match(/\b(?:flagwire|process|nodejs)_\w+/g) ?? []);
    expect(new Set(used).size).toBeGreaterThan(10);
    const familyOf = (name: string): string => name.replace(/_(?:bucket|sum|count)$/, "");
    const isKnown = (name: string): boolean =>
      types.has(name) || types.has(familyOf(name)) || (name === "flagwire_store_free_bytes" && doc.has(name));
    expect(used.filter((name) => !isKnown(name))).toEqual([]);
    for (const [, name = "", selector = ""] of text.matchAll(/((?:flagwire|process|nodejs)_\w+)\{([^}]*)\}/g)) {
      const known = [...(doc.get(name)?.labels ?? doc.get(familyOf(name))?.labels ?? []), "job", "instance", "le"];
      const labels = [...selector.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label = ""]) => label);
      expect([name, labels.filter((label) => !known.includes(label))]).toEqual([name, []]);
    }
  });
});

describe("the id of a request", () => {
  const METHOD = "flagwire.v1.EvaluationService/Evaluate";

  function ask(headers: Record<string, string>, flagKey = "none"): Promise<Response> {
    return fetch(`http://${server.address}/${METHOD}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ flagKey }),
    });
  }

  it("is the client's own in what tells an error, by every protocol", async () => {
    const own = { "x-request-id": "order-17/attempt-2" };
    const thrown = await server.evaluation.evaluate({ flagKey: "none" }, { headers: own }).catch((error) => error);
    expect(ConnectError.from(thrown).code).toBe(Code.NotFound);
    expect(ConnectError.from(thrown).metadata.get("x-request-id")).toBe("order-17/attempt-2");
    expect((await ask(own)).headers.get("x-request-id")).toBe("order-17/attempt-2");
    const ofrep = await fetch(`http://${server.address}/ofrep/v1/evaluate/flags/none`, {
      method: "POST",
      headers: { "content-type": "application/json", ...own },
      body: "{}",
    });
    expect([ofrep.status, ofrep.headers.get("x-request-id")]).toEqual([404, "order-17/attempt-2"]);
  });

  it("is the client's trace where it gives no other", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect((await ask({ traceparent })).headers.get("x-request-id")).toBe("0af7651916cd43dd8448eb211c80319c");
  });

  it("is made where the client gives none that is well formed", async () => {
    const made = await Promise.all([ask({}), ask({ "x-request-id": "two words" }), ask({ traceparent: "00-zz" })]);
    const ids = made.map(({ headers }) => headers.get("x-request-id"));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set(ids).size).toBe(3);
  });

  it("is not in an answer", async () => {
    await createFlag("a");
    expect((await ask({ "x-request-id": "x" }, "a")).headers.get("x-request-id")).toBeNull();
  });
});
