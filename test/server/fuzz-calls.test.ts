import { request as requestHttp } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { create, type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Service as FlagdV1 } from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import { Service as FlagdV2 } from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { FlagSyncService } from "../../gen/flagd/sync/v1/sync_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluateRequestSchema, EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { SEED } from "../engine/arbitrary-words.js";
import { CANARY, Chance, FACTOR, FuzzedServer } from "./fuzz-support.js";
import { toFrame } from "./transport-support.js";

// Every method, with bytes and headers that are nearly right, and with some that are not at all.

const SERVICES: readonly DescService[] = [EvaluationService, AdminService, FlagdV2, FlagdV1, FlagSyncService];
// What ends the token that is fuzzed with is left out.
const METHODS = SERVICES.flatMap((service) => service.methods).filter(({ name }) => name !== "RevokeToken") as [
  DescMethod,
];
const pathOf = ({ parent, name }: DescMethod) => `/${parent.typeName}/${name}`;

const chance = new Chance();
const seed = `seed ${SEED}`;
let fuzzed: FuzzedServer;
let session: ClientHttp2Session;

beforeAll(async () => {
  fuzzed = await FuzzedServer.open();
  session = fuzzed.http2();
});

afterAll(async () => {
  session.destroy();
  await fuzzed.server.stop(0);
});

interface Presented {
  readonly headers: Record<string, string>;
  readonly isRight: boolean;
}

/** The token, or something like it. */
function presented(): Presented {
  const right = `Bearer ${fuzzed.token}`;
  const wrong = chance.one<string | undefined>([
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Basic dTpw",
    `Bearer ${"x".repeat(4_000)}`,
    right.slice(0, -1),
    `${right} x`,
    right.replace("_", "__"),
    `Bearer ${chance.bytes(40).toString("hex")}`,
    "Bearer t\u00f6ken",
  ]);
  if (chance.below(3) > 0) return { headers: { authorization: right }, isRight: true };
  return { headers: wrong === undefined ? {} : { authorization: wrong }, isRight: false };
}

/** Something that begins as a request of any method might. */
function message(): Buffer {
  const request = { flagKey: CANARY, environment: chance.one(["production", "", "\u0000", "x".repeat(300)]) };
  return chance.mutate(Buffer.from(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, request))));
}

interface Answer {
  readonly status: unknown;
  readonly text: string;
}

function callGrpc(method: DescMethod, body: Buffer, headers: Presented["headers"]): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": pathOf(method),
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "400m",
      ...headers,
    });
    let status: unknown;
    const parts: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("response", (given) => (status = given["grpc-status"]));
    stream.on("trailers", (given) => (status = given["grpc-status"]));
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("close", () => resolve({ status, text: Buffer.concat(parts).toString("latin1") }));
    stream.end(body);
  });
}

test("over gRPC each call is answered with a status of its own, and nothing is told to who has no token", async () => {
  const calls = Array.from({ length: 400 * FACTOR }, async () => {
    const method = chance.one(METHODS);
    const { headers, isRight } = presented();
    const frame = toFrame(message());
    const body = chance.below(2) === 0 ? frame : chance.mutate(Buffer.from(frame));
    const { status, text } = await callGrpc(method, body, headers);
    // No answer but of the statuses: 13 is for frames that gRPC does not have.
    expect([pathOf(method), seed, /^(0|[3-9]|1[0-6])$/.test(String(status))]).toEqual([pathOf(method), seed, true]);
    if (isRight) return;
    expect([pathOf(method), seed, status]).not.toEqual([pathOf(method), seed, "0"]);
    expect(text).toBe("");
  });
  await Promise.all(calls);
  await fuzzed.expectSound();
}, 120_000);

const OFREP = [
  "/ofrep/v1/evaluate/flags",
  `/ofrep/v1/evaluate/flags/${CANARY}`,
  "/ofrep/v1/evaluate/flags/%ff",
] as const;
const CONTENT_TYPES = [
  "application/json",
  "application/proto",
  "application/connect+json",
  "application/connect+proto",
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "application/grpc",
  "text/plain",
  "",
] as const;

function json(): Buffer {
  return chance.mutate(
    Buffer.from(
      chance.one([
        `{"flagKey":"${CANARY}","context":{"targetingKey":"u"}}`,
        '{"context":{"a":{"b":[1,2,{"c":null}]}}}',
        '{"environment":"production","targeting":{"flagKey":"a"},"updateMask":"enabled"}',
        `{"flagKey":"${CANARY}","context":${"[".repeat(2_000)}${"]".repeat(2_000)}}`,
        "{}",
      ]),
    ),
  );
}

function callHttp(path: string, body: Buffer, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve) => {
    const { port } = fuzzed.server.address;
    const request = requestHttp({ port, path, method: "POST", headers, agent: false, timeout: 5_000 });
    const finish = (answer: Answer): void => {
      resolve(answer);
      request.destroy();
    };
    request.on("error", (error) => finish({ status: error.message, text: "" }));
    request.on("timeout", () => finish({ status: "timeout", text: "" }));
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("latin1");
      response.on("data", (part: string) => (text += part));
      response.on("error", () => {});
      response.on("close", () => finish({ status: response.statusCode, text }));
    });
    request.end(body);
  });
}

test("over HTTP/1.1 each request is answered, none by a bug, and nothing is told to who has no token", async () => {
  for (let round = 0; round < 12 * FACTOR; round++) {
    const calls = Array.from({ length: 32 }, async () => {
      const path = chance.below(4) === 0 ? chance.one(OFREP) : pathOf(chance.one(METHODS));
      const { headers, isRight } = presented();
      const isFramed = chance.below(2) === 0;
      const content = chance.below(2) === 0 ? json() : message();
      const body = isFramed ? chance.mutate(Buffer.from(toFrame(content))) : content;
      const encoding =
        chance.below(6) === 0 ? { "content-encoding": chance.one(["gzip", "br", "zstd", "identity"]) } : {};
      const { status, text } = await callHttp(path, body, {
        "content-type": chance.one(CONTENT_TYPES),
        "connect-timeout-ms": "300",
        "grpc-timeout": "300m",
        ...encoding,
        ...headers,
      });
      // What Connect cannot read of compressed messages it calls an internal error; ours are in the log too.
      const isOurs = text.includes("the server's log") || (status === 500 && !text.includes('"internal"'));
      expect([path, seed, typeof status, isOurs, text]).toEqual([path, seed, "number", false, text]);
      if (!isRight)
        expect([path, seed, text.includes("variant") || text.includes('"flags":')]).toEqual([path, seed, false]);
    });
    await Promise.all(calls);
  }
  await fuzzed.expectSound();
  // That of the test before.
  session.destroy();
  await fuzzed.expectEmpty();
}, 120_000);
