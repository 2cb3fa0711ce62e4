import { statfs } from "node:fs/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { isStoreProblem, openLmdbStore } from "../../src/store/index.js";
import { booleanFlag, openServer, type RestartableServer, refusalOf, refused, revisionOf } from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const wrongFlag = { key: "a", kind: 1 };
const wrongFields = ["flag.expires_at", "flag.owner", "flag.type", "flag.variants"];

describe("a refusal", () => {
  it("carries its details over gRPC", async () => {
    const { code, reason, fields, error } = await refusalOf(server.admin.createFlag({ flag: wrongFlag }));
    expect({ code, reason, fields: [...new Set(fields)].sort() }).toEqual({
      code: "InvalidArgument",
      reason: "INVALID_FIELDS",
      fields: wrongFields,
    });
    expect(error.rawMessage).toMatch(/^flag\.\w+: .* \(and 3 more\)$/);
  });

  it.each([
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ])("carries the same details over %s", async (_name, createTransport) => {
    const transport = createTransport({ baseUrl: `http://${server.address}`, httpVersion: "1.1" });
    const admin = createClient(AdminService, transport);
    const { reason, fields } = await refusalOf(admin.createFlag({ flag: wrongFlag }));
    expect([reason, [...new Set(fields)].sort()]).toEqual(["INVALID_FIELDS", wrongFields]);
  });

  it("carries the same details as JSON, readable without a schema", async () => {
    const { status, body } = await server.json("flagwire.v1.AdminService/CreateFlag", { flag: wrongFlag });
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: "invalid_argument" });
    const { details } = body as { details: { type: string; debug: { fieldViolations?: { field: string }[] } }[] };
    expect(details.map(({ type }) => type)).toEqual([ErrorInfoSchema.typeName, BadRequestSchema.typeName]);
    const violations = details[1]?.debug.fieldViolations ?? [];
    expect(violations.map(({ field }) => field).sort()).toEqual(wrongFields);
  });

  it("says what it is about", async () => {
    const { error } = await refusalOf(server.admin.getFlag({ key: "nothing" }));
    expect(error.findDetails(ErrorInfoSchema)[0]?.metadata).toEqual({ flag_key: "nothing" });
    expect(error.rawMessage).toContain('"nothing"');
  });

  it("of a JSON request names the field that does not exist", async () => {
    const { status, body } = await server.json("flagwire.v1.AdminService/CreateFlag", {
      flag: { key: "a", colour: "red" },
    });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain("colour");
    expect(await revisionOf(server)).toBe(1n);
  });

  it("is never UNKNOWN, whatever is asked with empty requests", async () => {
    const { admin, evaluation } = server;
    const calls: [string, () => Promise<unknown>][] = [];
    for (const { localName, methodKind } of AdminService.methods) {
      if (methodKind === "unary") {
        const call = admin[localName as "getFlag"] as (request: object) => Promise<unknown>;
        calls.push([localName, () => call({})]);
      }
    }
    for (const { localName, methodKind } of EvaluationService.methods) {
      if (methodKind === "unary") calls.push([localName, () => evaluation[localName as "evaluate"]({})]);
    }
    expect(calls.length).toBeGreaterThan(18);
    for (const [name, call] of calls) {
      const code = await call().then(
        () => "answered",
        (error) => ConnectError.from(error).code,
      );
      const expected = ["answered", Code.InvalidArgument, Code.NotFound];
      expect([name, expected.includes(code)]).toEqual([name, true]);
    }
    expect(await revisionOf(server)).toBe(1n);
  });
});

describe("a token", () => {
  const headers = { authorization: "Bearer flagwire_something" };
  const unauthenticated = refused("Unauthenticated", "TOKEN_UNKNOWN");

  it("that is unknown is refused by every kind of call, although none is needed", async () => {
    const { admin, evaluation } = server;
    const first = async (stream: AsyncIterable<unknown>) => {
      for await (const message of stream) return message;
      return undefined;
    };
    const calls = [
      () => admin.createFlag({ flag: booleanFlag("a") }, { headers }),
      () => admin.listFlags({}, { headers }),
      () => evaluation.evaluate({ flagKey: "a" }, { headers }),
      () => first(evaluation.watch({}, { headers })),
      () => first(admin.export({}, { headers })),
      () =>
        admin.import(
          (async function* () {
            yield {};
          })(),
          { headers },
        ),
    ];
    for (const call of calls) expect(await refusalOf(call())).toMatchObject(unauthenticated);
    expect(await revisionOf(server)).toBe(1n);
  });

  it("that is unknown is refused over JSON", async () => {
    const { status, body } = await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a" }, headers);
    expect(status).toBe(401);
    expect(body).toMatchObject({ code: "unauthenticated" });
  });
});

describe("the data directory", () => {
  it("in use by a server is refused to a second one, naming the owner, and the first goes on", async () => {
    const second = await openLmdbStore({ path: server.path });
    if (!isStoreProblem(second)) throw new Error("a second server got the directory");
    expect(second.kind).toBe("in-use");
    expect(second.message).toContain(server.path);
    expect(second.message).toContain(`process ${process.pid}`);
    await server.admin.createFlag({ flag: booleanFlag("a") });
  });

  it("without enough free space refuses writes, changes nothing and goes on answering", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.restart({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    const { code, reason, error } = await refusalOf(server.admin.createFlag({ flag: booleanFlag("b") }));
    expect([code, reason]).toEqual(["ResourceExhausted", "DISK_FULL"]);
    expect(error.rawMessage).toMatch(/has \d+ MiB left and a write needs \d+; nothing was changed/);
    expect(error.rawMessage).toContain("nothing was changed");
    expect((await server.admin.listFlags({})).flags.map(({ key }) => key)).toEqual(["a"]);
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("DISABLED");
  });

  it("with little free space refuses writes, but kills and revives", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const { bavail, bsize } = await statfs(server.path);
    await server.restart({ minFreeBytes: 2 * bavail * bsize });
    expect((await refusalOf(server.admin.createFlag({ flag: booleanFlag("b") }))).reason).toBe("DISK_FULL");
    expect(await server.admin.killFlags({ flagKeys: ["a"], reason: "it burns" })).toMatchObject({ flagKeys: ["a"] });
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("KILLED");
    expect(await server.admin.reviveFlags({ flagKeys: ["a"] })).toMatchObject({ flagKeys: ["a"] });
  });
});
