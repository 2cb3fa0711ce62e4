import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as v1 from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import * as v2 from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import * as schema from "../../gen/schema/v1/schema_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { flagdEvaluationServices } from "../../src/server/flagd/evaluation-services.js";
import { Head } from "../../src/server/state/head.js";
import { createMemoryUsageLedger } from "../../src/server/usage/memory-usage-ledger.js";
import { createWatchHub } from "../../src/watch/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { createFlags, enabled, flagOf } from "./evaluation-support.js";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  await createFlags(server);
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  await server.admin.updateTargeting({ environment: "staging", targeting: { flagKey: "bool", ...enabled("off") } });
});
afterAll(() => server[Symbol.asyncDispose]());

const grpc = () => createGrpcTransport({ baseUrl: `http://${server.address}` });
const ask = () => createClient(v2.Service, grpc());
const askOld = () => createClient(v1.Service, grpc());
const askOldest = () => createClient(schema.Service, grpc());

/** How a call was refused. */
async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw error ?? new Error("answered");
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: Code[error.code], reason: info?.reason, message: error.rawMessage };
}

describe("statuses, in every package", () => {
  const old = { code: "NotFound", reason: "NO_VALUE" };
  test.each([
    ["missing", { code: "NotFound", reason: "FLAG_NOT_FOUND" }],
    ["", { code: "NotFound", reason: "FLAG_NOT_FOUND" }],
    ["text", { code: "InvalidArgument", reason: "TYPE_MISMATCH" }],
    ["broken", { code: "DataLoss", reason: "MALFORMED_FLAG" }],
    ["split", { code: "FailedPrecondition", reason: "TARGETING_KEY_MISSING" }],
  ])("a flag %j that cannot be answered is told apart", async (flagKey, expected) => {
    for (const client of [ask(), askOld(), askOldest()]) {
      expect(await refusal(client.resolveBoolean({ flagKey }))).toMatchObject(expected);
    }
  });

  test.each([
    ["off-bare", "DISABLED"],
    ["killed-bare", "DISABLED"],
    ["without-default", "DEFAULT"],
    ["needs-bare", "DEFAULT"],
  ])("no value of %s is no value, or no flag where the package cannot say so", async (flagKey, reason) => {
    const { value, variant, ...answer } = await ask().resolveBoolean({ flagKey });
    expect({ value, variant }).toEqual({ value: undefined, variant: undefined });
    expect(answer).toMatchObject({ reason, metadata: {} });
    expect(await refusal(askOld().resolveBoolean({ flagKey }))).toMatchObject(old);
    expect(await refusal(askOldest().resolveBoolean({ flagKey }))).toMatchObject(old);
  });

  test("a context beyond the limits is refused by the name that it has here", async () => {
    const text = "x".repeat(65_537);
    const long = await refusal(ask().resolveBoolean({ flagKey: "bool", context: { plan: text } }));
    expect(long).toMatchObject({ code: "InvalidArgument", reason: "INVALID_FIELDS" });
    expect(long.message).toMatch(/^context\["plan"\]: is longer/);
    const all = await refusal(askOld().resolveAll({ context: { targetingKey: text } }));
    expect(all.message).toMatch(/^context\["targetingKey"\]: is longer/);
  });

  test.each([
    [{ "flagd-selector": "flagSetId=staging" }, false],
    [{ "flagd-selector": "source=staging" }, false],
    [{ "flagd-selector": "staging" }, false],
    [{ "flagwire-environment": "staging" }, false],
    [{ "flagd-selector": "" }, true],
  ])("the environment is that of the headers %j", async (headers, value) => {
    for (const client of [ask(), askOld(), askOldest()]) {
      expect(await client.resolveBoolean({ flagKey: "bool" }, { headers })).toMatchObject({ value });
    }
    const { flags } = await askOld().resolveAll({}, { headers });
    expect(flags.bool?.value).toEqual({ case: "boolValue", value });
  });

  test("an environment that does not exist, and a selector that is none, are refused", async () => {
    const to = (selector: string) => ({ headers: { "flagd-selector": selector } });
    const nowhere = { code: "NotFound", reason: "ENVIRONMENT_NOT_FOUND" };
    const malformed = { code: "InvalidArgument", reason: "INVALID_FIELDS" };
    for (const [selector, expected] of [
      ["nowhere", nowhere],
      ["team=web", malformed],
    ] as const) {
      expect(await refusal(ask().resolveBoolean({ flagKey: "bool" }, to(selector)))).toMatchObject(expected);
      expect(await refusal(askOld().resolveAll({}, to(selector)))).toMatchObject(expected);
      const stream = ask().eventStream({}, to(selector))[Symbol.asyncIterator]();
      expect(await refusal(stream.next())).toMatchObject(expected);
    }
  });
});

test("a client that would try again whatever the status is told not to, where that cannot help", async () => {
  // As flagd's provider for Java does, but for the time between.
  const methodConfig = {
    name: [{ service: v1.Service.typeName }],
    retryPolicy: {
      maxAttempts: 3,
      initialBackoff: "60s",
      maxBackoff: "60s",
      backoffMultiplier: 1,
      retryableStatusCodes: ["NOT_FOUND", "INVALID_ARGUMENT"],
    },
  };
  const options = { "grpc.service_config": JSON.stringify({ loadBalancingConfig: [], methodConfig: [methodConfig] }) };
  const client = new Client(server.address, credentials.createInsecure(), options);
  const resolve = (flagKey: string) =>
    new Promise((done) => {
      const bytes = toBinary(v1.ResolveBooleanRequestSchema, create(v1.ResolveBooleanRequestSchema, { flagKey }));
      const path = `/${v1.Service.typeName}/ResolveBoolean`;
      const same = (message: Buffer) => message;
      client.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error) => done(error?.code));
    });
  expect(await resolve("missing")).toBe(Code.NotFound);
  expect(await resolve("text")).toBe(Code.InvalidArgument);
  client.close();
});

describe("numbers", () => {
  test("an integer is the number without its fraction", async () => {
    const integer = async (flagKey: string) => (await ask().resolveInt({ flagKey })).value;
    expect(await integer("fraction")).toBe(3n);
    expect(await integer("negative")).toBe(-2n);
    expect(await integer("whole")).toBe(42n);
  });

  test("a number that is no exact integer any more is refused as one, and answered as a float", async () => {
    for (const client of [ask(), askOld(), askOldest()]) {
      const mismatch = { code: "InvalidArgument", reason: "TYPE_MISMATCH" };
      expect(await refusal(client.resolveInt({ flagKey: "huge" }))).toMatchObject(mismatch);
      expect(await client.resolveFloat({ flagKey: "huge" })).toMatchObject({ value: 2 ** 60 });
    }
  });
});

describe("ResolveAll", () => {
  const withValue = "bool fraction huge killed needs negative object off targeted text whole".split(" ");
  const noValue = ({ reason, variant }: { reason: string; variant: string }) => ({ reason, variant });

  test("holds every flag that has a value, as it is alone", async () => {
    const context = { targetingKey: "u", plan: "gold" };
    for (const client of [askOld(), askOldest()]) {
      const { flags } = await client.resolveAll({ context });
      expect(Object.keys(flags).sort()).toEqual([...withValue, "broken", "split"].sort());
      expect(flags.targeted).toMatchObject(await client.resolveString({ flagKey: "targeted", context }).then(noValue));
      expect(flags.targeted?.value).toEqual({ case: "stringValue", value: "B" });
      expect(flags.off?.value).toEqual({ case: "boolValue", value: false });
      expect(flags.whole?.value).toEqual({ case: "doubleValue", value: 42 });
      expect(flags.object?.value).toEqual({ case: "objectValue", value: { list: [1, { deep: null }], name: "x" } });
    }
    expect((await askOld().resolveAll({ context })).flags.bool?.metadata).toEqual({ team: "web", level: 2 });
  });

  test("names those that cannot be evaluated, with nothing that could be taken for a value", async () => {
    const { flags } = await askOld().resolveAll({});
    for (const key of ["broken", "split"])
      expect(flags[key]).toMatchObject({ reason: "ERROR", value: { case: undefined } });
  });
});

describe("large answers", () => {
  test("are bounded together in ResolveAll", async () => {
    await using other = await openTestServer();
    const client = createClient(v1.Service, createGrpcTransport({ baseUrl: `http://${other.address}` }));
    const value = "x".repeat(1_450_000);
    for (const key of "abcdefghijk".split("")) {
      await other.admin.createFlag({ flag: flagOf(key, { v: value }), targeting: enabled("v") });
    }
    expect(Object.keys((await client.resolveAll({})).flags)).toHaveLength(11);
    await other.admin.createFlag({ flag: flagOf("l", { v: value }), targeting: enabled("v") });
    const tooLarge = { code: "ResourceExhausted", reason: "RESPONSE_TOO_LARGE" };
    expect(await refusal(client.resolveAll({}))).toMatchObject(tooLarge);
  });

  test("are made for each call, and others once", async () => {
    const values = { small: "x".repeat(60_000), large: "x".repeat(66_000) };
    await server.admin.createFlag({ flag: flagOf("small", values), targeting: enabled("small") });
    await server.admin.createFlag({ flag: flagOf("large", values), targeting: enabled("large") });
    const hub = createWatchHub({ clock: systemClock, random: systemRandom });
    const head = await Head.open(server.store, hub);
    const usage = createMemoryUsageLedger(systemClock);
    const [newest] = flagdEvaluationServices({ head, hub, clock: systemClock, usage });
    const call = { peer: "", header: () => undefined, signal: new AbortController().signal };
    const resolve = newest?.handlers.resolveString as (request: unknown, call: unknown) => unknown;
    const answer = (flagKey: string) => resolve(create(v2.ResolveStringRequestSchema, { flagKey }), call);
    expect(answer("small")).toBe(answer("small"));
    expect(answer("large")).not.toBe(answer("large"));
    expect(answer("large")).toEqual(answer("large"));
    await head.close();
  });
});

describe("JSON over HTTP/1.1", () => {
  const post = (method: string, body: unknown, headers?: Record<string, string>) => server.json(method, body, headers);

  test.each(["flagd.evaluation.v2", "flagd.evaluation.v1", "schema.v1"])(
    "%s is spoken as flagd speaks it",
    async (name) => {
      const body = { flag_key: "targeted", context: { targetingKey: "u", plan: "gold" }, newer: [1] };
      const answer = { value: "B", reason: "TARGETING_MATCH", variant: "b", metadata: {} };
      expect(await post(`${name}.Service/ResolveString`, body)).toEqual({ status: 200, body: answer });
      const other = { ...body, flag_key: undefined, flagKey: "text", context: null };
      expect(await post(`${name}.Service/ResolveString`, other)).toEqual({
        status: 200,
        body: { value: "A", reason: "STATIC", variant: "a", metadata: {} },
      });
      const off = { value: false, reason: "DISABLED", variant: "off", metadata: {} };
      expect((await post(`${name}.Service/ResolveBoolean`, { flag_key: "off" })).body).toEqual(off);
      const whole = { value: "42", reason: "STATIC", variant: "n", metadata: {} };
      expect((await post(`${name}.Service/ResolveInt`, { flag_key: "whole" })).body).toEqual(whole);
    },
  );

  test.each([
    ["missing", 404, "not_found"],
    ["text", 400, "invalid_argument"],
    ["broken", 500, "data_loss"],
    ["split", 400, "failed_precondition"],
  ])("a flag %s that cannot be answered has the status %d and the code %s", async (flag_key, status, code) => {
    const answer = await post("schema.v1.Service/ResolveBoolean", { flag_key, context: {} });
    expect(answer).toMatchObject({
      status,
      body: { code, message: expect.stringContaining(JSON.stringify(flag_key)) },
    });
  });

  test("an answer without a value has no such member in v2, and ResolveAll has all of a flag's", async () => {
    const answer = await post("flagd.evaluation.v2.Service/ResolveBoolean", { flag_key: "off-bare" });
    expect(answer).toEqual({ status: 200, body: { reason: "DISABLED", metadata: {} } });
    const { body } = await post("flagd.evaluation.v1.Service/ResolveAll", {});
    expect(body).toMatchObject({
      flags: { off: { reason: "DISABLED", variant: "off", boolValue: false, metadata: {} } },
      metadata: {},
    });
  });

  test("GET takes the request in the address, and blames who sends none", async () => {
    const method = `http://${server.address}/flagd.evaluation.v2.Service/ResolveBoolean?connect=v1`;
    const ask = async (query: string) => {
      const response = await fetch(`${method}&${query}`);
      return { status: response.status, body: await response.text() };
    };
    const answer = '{"value":true,"reason":"STATIC","variant":"on","metadata":{"team":"web","level":2}}';
    const inJson = `encoding=json&message=${encodeURIComponent('{"flag_key":"bool"}')}`;
    expect(await ask(inJson)).toEqual({ status: 200, body: answer });
    const bytes = toBinary(v2.ResolveBooleanRequestSchema, create(v2.ResolveBooleanRequestSchema, { flagKey: "bool" }));
    expect((await ask(`encoding=proto&base64=1&message=${Buffer.from(bytes).toString("base64url")}`)).status).toBe(200);
    expect((await ask("encoding=proto&message=%0A%04bool")).status).toBe(200);
    for (const query of [
      "encoding=proto&base64=1&message=_____w",
      "encoding=proto&message=%0A%09b",
      "encoding=json&message=[",
    ]) {
      expect(await ask(query)).toMatchObject({ status: 400, body: expect.stringContaining('"invalid_argument"') });
    }
  });

  test("our own services stay strict", async () => {
    const answer = await post("flagwire.v1.EvaluationService/Evaluate", { flagKey: "bool", newer: 1 });
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_argument" } });
  });
});

test.each([
  ["Connect in binary", createConnectTransport, true],
  ["Connect in JSON", createConnectTransport, false],
  ["gRPC-Web in binary", createGrpcWebTransport, true],
  ["gRPC-Web in JSON", createGrpcWebTransport, false],
])("%s over HTTP/1.1 answers as gRPC does", async (_name, createTransport, useBinaryFormat) => {
  const client = createClient(
    v2.Service,
    createTransport({ httpVersion: "1.1", baseUrl: `http://${server.address}`, useBinaryFormat }),
  );
  for (const flagKey of ["bool", "off-bare"]) {
    expect(await client.resolveBoolean({ flagKey })).toEqual(await ask().resolveBoolean({ flagKey }));
  }
  const object = { flagKey: "object", context: { targetingKey: "u" } };
  expect(await client.resolveObject(object)).toEqual(await ask().resolveObject(object));
  expect(await refusal(client.resolveString({ flagKey: "bool" }))).toEqual(
    await refusal(ask().resolveString({ flagKey: "bool" })),
  );
});
