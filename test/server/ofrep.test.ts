import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { flag, serve, value } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { ask, askFlag, BULK, commitItems, EVENTS, someFlags } from "./ofrep-support.js";

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer({ limits: { maxMessageBytes: 100_000 } });
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  await commitItems(server, someFlags);
  await commitItems(server, [flag("string", { default: serve("c") })], "staging");
});

afterAll(() => server[Symbol.asyncDispose]());

describe("one flag", () => {
  it.each([
    ["boolean", {}, { value: true, reason: "STATIC", variant: "on", metadata: { team: "web", level: 2, live: true } }],
    ["string", { plan: "pro" }, { value: "B", reason: "TARGETING_MATCH", variant: "b" }],
    ["string", {}, { value: "A", reason: "DEFAULT", variant: "a" }],
    ["number", {}, { value: 1.5, reason: "STATIC", variant: "a" }],
    ["object", {}, { value: { list: [1, "zwei"], none: null }, reason: "STATIC", variant: "a" }],
    ["split", { targetingKey: "user-1" }, { value: "B", reason: "SPLIT", variant: "b" }],
    ["disabled", {}, { value: "OFF", reason: "DISABLED", variant: "off" }],
    ["killed", {}, { value: "OFF", reason: "DISABLED", variant: "off", metadata: { "flagwire.reason": "KILLED" } }],
    [
      "needs",
      {},
      { value: "OFF", reason: "DISABLED", variant: "off", metadata: { "flagwire.reason": "PREREQUISITE_FAILED" } },
    ],
    ["weiß/1", {}, { value: "A", reason: "STATIC", variant: "a" }],
  ] as const)("%s for %j is its value, and why", async (key, context, answer) => {
    const { status, headers, body } = await askFlag(server, key, context);
    expect(body).toEqual({ key, ...answer });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it.each([
    ["bare", "DISABLED"],
    ["no default", "DEFAULT"],
  ])("%s has no value where the caller's own default applies", async (key, reason) => {
    expect(await askFlag(server, key)).toMatchObject({ status: 200, body: { key, reason } });
    expect((await askFlag(server, key)).body).not.toHaveProperty("value");
    expect((await askFlag(server, key)).body).not.toHaveProperty("variant");
  });

  it.each([
    ["split", 400, "TARGETING_KEY_MISSING"],
    ["malformed", 400, "PARSE_ERROR"],
    ["missing", 404, "FLAG_NOT_FOUND"],
    ["missing/with a slash", 404, "FLAG_NOT_FOUND"],
  ])("%s is answered with an error code", async (key, status, errorCode) => {
    const answer = await askFlag(server, key);
    expect(answer.body).toEqual({ key, errorCode, errorDetails: expect.stringMatching(/\w+ \w+/) });
    expect(answer.status).toBe(status);
  });

  it.each([{}, { targetingKey: "" }, { targetingKey: 7 }])("says what a rollout misses in %j", async (context) => {
    const errorDetails = "the context's targetingKey is missing, empty or no text";
    expect((await askFlag(server, "split", context)).body).toMatchObject({ errorDetails });
  });

  it("may be asked for with a slash at the end, and with slashes that are not encoded", async () => {
    expect(await ask(server, `${BULK}/boolean/`)).toMatchObject({ status: 200, body: { key: "boolean" } });
    expect(await ask(server, `${BULK}/wei%C3%9F/1`)).toMatchObject({ status: 200, body: { key: "weiß/1" } });
  });

  it("may be asked for by a client whose base URL ends in a slash", async () => {
    expect(await ask(server, `/${BULK}/boolean`)).toMatchObject({ status: 200, body: { key: "boolean" } });
    expect(await ask(server, `//${BULK}`)).toMatchObject({ status: 200, body: { flags: expect.any(Array) } });
    expect((await ask(server, "//flagwire.v1.EvaluationService/Evaluate")).status).toBe(404);
  });

  it("is not found by a key that is not percent-encoded right", async () => {
    const { status, body } = await ask(server, `${BULK}/%C3`);
    expect(status).toBe(400);
    expect(body).toEqual({ key: "", errorCode: "GENERAL", errorDetails: "key: is not percent-encoded UTF-8" });
  });
});

describe("a context", () => {
  it.each([
    ["an empty body", ""],
    ["an empty object", "{}"],
    ["null for it", '{"context":null}'],
    ["an empty one", '{"context":{}}'],
    ["more than is known", '{"context":{},"more":1}'],
  ])("may be missing: %s", async (_name, body) => {
    expect(await ask(server, `${BULK}/string`, body)).toMatchObject({ status: 200, body: { variant: "a" } });
  });

  it.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a number", "7"],
    ["null", "null"],
    ["no UTF-8", Uint8Array.of(...Buffer.from('{"context":{"a":"'), 0xff, ...Buffer.from('"}}'))],
  ])("is not read from %s", async (_name, body) => {
    const one = await ask(server, `${BULK}/string`, body);
    expect(one.body).toEqual({ key: "string", errorCode: "PARSE_ERROR", errorDetails: expect.any(String) });
    expect(one.status).toBe(400);
    const all = await ask(server, BULK, body);
    expect(all.body).toEqual({ errorCode: "PARSE_ERROR", errorDetails: expect.any(String) });
    expect(all.status).toBe(400);
  });

  it.each([
    ["a list", '{"context":[]}', "context: is not an object"],
    ["a text", '{"context":"user"}', "context: is not an object"],
    ["long", JSON.stringify({ context: { name: "x".repeat(65_537) } }), 'context["name"]: is longer than 65536'],
    ["deep", `{"context":{"a":${"[".repeat(33)}${"]".repeat(33)}}}`, 'context["a"]: is nested more than 32 levels'],
    ["half a character", '{"context":{"a":"\\ud800"}}', 'context["a"]: holds half of a surrogate pair'],
  ])("that is %s is refused", async (_name, body, details) => {
    const one = await ask(server, `${BULK}/string`, body);
    const errorDetails = expect.stringContaining(details);
    expect(one.body).toEqual({ key: "string", errorCode: "INVALID_CONTEXT", errorDetails });
    expect(one.status).toBe(400);
    expect((await ask(server, BULK, body)).body).toEqual({ errorCode: "INVALID_CONTEXT", errorDetails });
  });

  it("has a bound, and so has what comes instead of it", async () => {
    for (const size of [100_001, 1_000_000]) {
      const { status, body } = await ask(server, BULK, "x".repeat(size));
      expect(body).toEqual({ errorDetails: "the body has more than 100000 bytes" });
      expect(status).toBe(413);
    }
    expect((await ask(server, BULK, JSON.stringify({ more: "x".repeat(99_000) }))).status).toBe(200);
  });

  it("is not read from a compressed body", async () => {
    const answer = await ask(server, BULK, new Uint8Array(gzipSync("{}")), { "content-encoding": "gzip" });
    expect(answer).toMatchObject({ status: 415, body: { errorDetails: expect.stringContaining("compressed") } });
  });

  it("with names that JavaScript has for itself is taken as it is", async () => {
    const body = '{"context":{"__proto__":{"plan":"pro"},"constructor":1,"toString":2}}';
    expect(await ask(server, `${BULK}/string`, body)).toMatchObject({ status: 200, body: { variant: "a" } });
  });
});

describe("all flags", () => {
  const context = { targetingKey: "user-1", plan: "pro" };

  it("are what each one is alone, in the order of their keys", async () => {
    const { status, body } = await ask(server, BULK, context);
    expect(status).toBe(200);
    const { flags } = body as { readonly flags: readonly { readonly key: string }[] };
    expect(flags.map(({ key }) => key)).toEqual(flags.map(({ key }) => key).sort());
    expect(flags).toHaveLength(someFlags.length);
    for (const answer of flags) expect((await askFlag(server, answer.key, context)).body).toEqual(answer);
  });

  it("come with where changes are told, and nothing else", async () => {
    const { body } = await ask(server, BULK, context);
    const endpoint = { requestUri: `${EVENTS}?environment=production` };
    expect(body).toEqual({
      flags: expect.any(Array),
      eventStreams: [{ type: "sse", endpoint, inactivityDelaySec: 120 }],
    });
  });

  it("have a tag of the whole body", async () => {
    const response = await fetch(`http://${server.address}${BULK}/`, { method: "POST" });
    const digest = createHash("sha256")
      .update(await response.text())
      .digest("hex");
    expect(response.headers.get("etag")).toBe(`"${digest}"`);
    expect((await ask(server, BULK, context)).headers.get("etag")).not.toBe(`"${digest}"`);
  });

  it.each([
    ["the tag", (tag: string) => tag],
    ["a list with it", (tag: string) => `"other", ${tag} ,"third"`],
    ["it as a weak one", (tag: string) => `W/${tag}`],
    ["it without quotes", (tag: string) => tag.replaceAll('"', "")],
    ["it as Apache sends it with a compressed answer", (tag: string) => tag.replace(/"$/, '-gzip"')],
    ["that as a weak one", (tag: string) => `W/${tag.replace(/"$/, '-br"')}`],
    ["*", () => "*"],
  ])("are not sent to who has them already: %s", async (_name, toHeader) => {
    const tag = (await ask(server, BULK, context)).headers.get("etag") ?? "";
    const again = await ask(server, BULK, context, { "if-none-match": toHeader(tag) });
    expect(again.status).toBe(304);
    expect(again.body).toBeUndefined();
    expect(again.headers.get("etag")).toBe(tag);
    expect(again.headers.get("cache-control")).toBe("no-store");
  });

  it("are sent to who has others", async () => {
    const tag = (await ask(server, BULK, context)).headers.get("etag") ?? "";
    const others = `"${tag.slice(2)}, ${tag.replace(/"$/, '-other"')}, W/"x", "`;
    expect((await ask(server, BULK, context, { "if-none-match": others })).status).toBe(200);
    expect((await ask(server, BULK, { ...context, plan: "free" }, { "if-none-match": tag })).status).toBe(200);
  });

  it("are always sent to who has heard of another state", async () => {
    const tag = (await ask(server, BULK, context)).headers.get("etag") ?? "";
    const again = await ask(server, `${BULK}?flagConfigEtag=other`, context, { "if-none-match": tag });
    expect(again.status).toBe(200);
  });
});

describe("an environment", () => {
  it.each([
    ["the header flagwire-environment", "", { "flagwire-environment": "staging" }],
    ["flagd's selector", "", { "flagd-selector": "flagSetId=staging" }],
    ["the query", "?environment=staging", {}],
    ["a header rather than the query", "?environment=production", { "flagwire-environment": "staging" }],
  ])("is named by %s", async (_name, query, headers) => {
    const path = `${BULK}/string${query}`;
    expect(await ask(server, path, {}, headers as Record<string, string>)).toMatchObject({ body: { variant: "c" } });
  });

  it("is in the address of its stream", async () => {
    const { body } = await ask(server, BULK, {}, { "flagwire-environment": "staging" });
    expect(body).toMatchObject({ eventStreams: [{ endpoint: { requestUri: `${EVENTS}?environment=staging` } }] });
  });

  it("that does not exist is an error, but not of the flag", async () => {
    const errorDetails = 'there is no environment "nowhere"';
    const headers = { "flagwire-environment": "nowhere" };
    const one = await ask(server, `${BULK}/string`, {}, headers);
    expect(one).toMatchObject({ status: 400, body: { key: "string", errorCode: "GENERAL", errorDetails } });
    expect(await ask(server, BULK, {}, headers)).toMatchObject({
      status: 400,
      body: { errorCode: "GENERAL", errorDetails },
    });
    const events = await fetch(`http://${server.address}${EVENTS}?environment=nowhere`);
    expect([events.status, await events.json()]).toEqual([404, { errorDetails }]);
  });

  it("that a selector cannot name is an error", async () => {
    const answer = await ask(server, BULK, {}, { "flagd-selector": "region=eu" });
    expect(answer).toMatchObject({ status: 400, body: { errorCode: "GENERAL" } });
  });
});

describe("a request", () => {
  it.each([{ authorization: "Bearer secret" }, { "x-api-key": "secret" }])(
    "with a token is refused: %j",
    async (headers) => {
      for (const path of [BULK, `${BULK}/string`]) {
        const answer = await ask(server, path, {}, headers as Record<string, string>);
        expect(answer.body).toEqual({
          errorDetails: "this server has no tokens yet, so it cannot know this one: leave it out",
        });
        expect(answer.status).toBe(401);
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      }
    },
  );

  it.each([
    ["GET", BULK, "POST, OPTIONS"],
    ["HEAD", BULK, "POST, OPTIONS"],
    ["PUT", `${BULK}/string`, "POST, OPTIONS"],
    ["POST", EVENTS, "GET, OPTIONS"],
  ])("by %s of %s is told what to use", async (method, path, allow) => {
    const response = await fetch(`http://${server.address}${path}`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
  });

  it("by OPTIONS is told what to use", async () => {
    const response = await fetch(`http://${server.address}${BULK}`, { method: "OPTIONS" });
    expect([response.status, response.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
  });

  it("of another path below is not found", async () => {
    expect((await ask(server, "/ofrep/v1/configuration")).status).toBe(404);
    expect((await ask(server, "/ofrep/v1/evaluate/flagship")).status).toBe(404);
  });

  it("that ends before its body leaves others alone", async () => {
    const sent = httpRequest(`http://${server.address}${BULK}`, {
      method: "POST",
      headers: { "content-length": 1_000 },
    });
    sent.on("error", () => {});
    await new Promise((resolve) => sent.write("{", resolve));
    sent.destroy();
    expect((await ask(server, BULK)).status).toBe(200);
  });
});

it("a client that does not take its answer is cut off", async () => {
  const clock = new VirtualClock();
  await using large = await openTestServer({ clock });
  for (let index = 0; index < 10; index += 1) {
    const variants = { a: value("x".repeat(1_000_000)) };
    await commitItems(large, [flag(`f${index}`, { offVariant: "a" }, { type: FlagType.STRING, variants })]);
  }
  const { hostname, port } = new URL(`http://${large.address}`);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(`POST ${BULK} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  socket.pause();
  await expect.poll(() => clock.pendingTimers, { interval: 5 }).toBe(1);
  await clock.advance(30_000);
  await expect
    .poll(() => large.server.stats(), { interval: 5 })
    .toMatchObject({ stalledClients: 1, connections: { http: 0 } });
  socket.destroy();
});

it("answers that are too large together are refused, and each alone is not", async () => {
  await using large = await openTestServer();
  const variants = { a: value("€".repeat(400_000)) };
  const items = Array.from({ length: 15 }, (_, index) =>
    flag(`f${index}`, { offVariant: "a" }, { type: FlagType.STRING, variants }),
  );
  for (const item of items) await commitItems(large, [item]);
  expect(await ask(large, BULK)).toMatchObject({ status: 400, body: { errorCode: "GENERAL" } });
  expect((await askFlag(large, "f1")).status).toBe(200);
});
