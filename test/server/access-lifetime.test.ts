import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService, ExportResponseSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { createGate, type Gate } from "../../src/server/access/gate.js";
import { guardService } from "../../src/server/guard.js";
import type { Call, ServedService } from "../../src/server/handlers.js";
import { isRefusal } from "../../src/server/refusal.js";
import { openTestServer, type TestServer, type TestServerOptions } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { openGate } from "./open-gate.js";

// Rights that begin and end while calls go on.

let servers: TestServer[] = [];

afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  servers = [];
});

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await openTestServer(options);
  servers.push(server);
  return server;
}

type Protocol = "grpc" | "connect";

function clientsOf({ address }: TestServer, bearer: string | undefined, protocol: Protocol = "grpc") {
  const baseUrl = `http://${address}`;
  const setToken = (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
    if (bearer !== undefined) request.header.set("authorization", `Bearer ${bearer}`);
    return next(request as never);
  };
  const interceptors = [setToken] as never;
  const transport =
    protocol === "grpc"
      ? createGrpcTransport({ baseUrl, interceptors })
      : createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors });
  return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
}

async function withAdmin(server: TestServer) {
  const { bearer, token } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  return { ...clientsOf(server, bearer), bearer, id: token?.id ?? "" };
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => Code[ConnectError.from(error).code],
  );

/** Reads a stream to its end. */
function follow(stream: AsyncIterable<unknown>) {
  const seen = { count: 0, end: "" };
  const reading = (async () => {
    for await (const _ of stream) seen.count++;
  })();
  void codeOf(reading).then((code) => {
    seen.end = code ?? "";
  });
  return seen;
}

const flag = (key: string) => ({
  key,
  type: FlagType.BOOLEAN,
  kind: FlagKind.OPERATIONAL,
  variants: {
    on: { kind: { case: "boolValue" as const, value: true } },
    off: { kind: { case: "boolValue" as const, value: false } },
  },
});

describe("a token that expires", () => {
  async function expiring(protocol: Protocol) {
    const clock = new VirtualClock();
    const server = await start({ clock });
    const root = await withAdmin(server);
    const expiresAt = { seconds: BigInt(clock.now() / 1_000 + 60), nanos: 0 };
    const { bearer } = await root.admin.createToken({ token: { name: "short", role: Role.READER, expiresAt } });
    return { clock, server, root, ...clientsOf(server, bearer, protocol) };
  }

  test.each(["grpc", "connect"] as const)("gets nothing more over %s, on open streams too", async (protocol) => {
    const { clock, root, evaluation } = await expiring(protocol);
    const stream = follow(evaluation.watch({}));
    await vi.waitFor(() => expect(stream.count).toBeGreaterThan(0));
    await clock.advance(59_999);
    const { count } = stream;
    expect([stream.end, await codeOf(evaluation.bulkEvaluate({}))]).toEqual(["", "ok"]);
    await clock.advance(1);
    expect(await codeOf(evaluation.bulkEvaluate({}))).toBe("Unauthenticated");
    await root.admin.createFlag({ flag: flag("later") });
    await vi.waitFor(() => expect(stream.end).toBe("Unauthenticated"));
    expect(stream.count).toBeLessThanOrEqual(count + 1);
  });

  test("counts as one of the others when the last admin's is to be revoked", async () => {
    const { clock, root } = await expiring("grpc");
    await clock.advance(60_000);
    await expect(root.admin.revokeToken({ id: root.id })).rejects.toThrow("this is the last admin token");
    const { tokens } = await root.admin.listTokens({});
    await root.admin.revokeToken({ id: tokens.find(({ name }) => name === "short")?.id ?? "" });
    expect(await codeOf(root.admin.revokeToken({ id: root.id }))).toBe("ok");
  });
});

describe("the first token", () => {
  test.each(["grpc", "connect"] as const)("ends the streams over %s of those who came without", async (protocol) => {
    const server = await start();
    const { evaluation } = clientsOf(server, undefined, protocol);
    const streams = [follow(evaluation.watch({})), follow(evaluation.watchEvaluations({}))];
    await vi.waitFor(() => expect(streams.every(({ count }) => count > 0)).toBe(true));
    await withAdmin(server);
    await vi.waitFor(() => expect(streams.map(({ end }) => end)).toEqual(["Unauthenticated", "Unauthenticated"]));
  });
});

describe("revoking a token", () => {
  test("ends an import that it began before the last of it has come, and nothing is changed", async () => {
    const server = await start();
    const root = await withAdmin(server);
    const { bearer, token } = await root.admin.createToken({ token: { name: "ci", role: Role.EDITOR } });
    const { admin } = clientsOf(server, bearer);
    let hasBegun = false;
    let finish = (): void => {};
    const revoked = new Promise<void>((resolve) => (finish = resolve));
    async function* parts() {
      yield { file: { flags: [flag("a")] } };
      hasBegun = true;
      await revoked;
    }
    const ended = codeOf(admin.import(parts()));
    await vi.waitFor(() => expect(hasBegun).toBe(true));
    await root.admin.revokeToken({ id: token?.id ?? "" });
    finish();
    expect(await ended).toBe("Unauthenticated");
    expect(server.server.flagKeys()).toEqual([]);
  });

  test("ends an export between its messages", async () => {
    let isAdmitted = true;
    const handlers = {
      export: async function* parts() {
        for (let revision = 1n; revision <= 3n; revision++) yield create(ExportResponseSchema, { revision });
      },
    };
    const served = { service: AdminService, handlers } as unknown as ServedService;
    const guarded = guardService(served, { ...openGate, admits: () => isAdmitted }).handlers.export as unknown as (
      request: object,
      call: Call,
    ) => AsyncIterable<unknown>;
    const call: Call = { signal: new AbortController().signal, peer: "127.0.0.1:1", header: () => undefined };
    const received: unknown[] = [];
    for await (const answer of guarded({}, call)) {
      received.push(answer);
      if (received.length === 2) isAdmitted = false;
    }
    expect(received.map((answer) => isRefusal(answer))).toEqual([false, false, true]);
  });
});

describe("history", () => {
  test("tells of tokens to those who may list them, and to nobody else", async () => {
    const server = await start();
    const root = await withAdmin(server);
    await root.admin.createFlag({ flag: flag("a") });
    const { bearer } = await root.admin.createToken({ token: { name: "eve", role: Role.EDITOR } });
    const { admin } = clientsOf(server, bearer);
    const kinds = async (client: typeof admin) => {
      const { entries } = await client.listHistory({});
      return new Set(entries.flatMap(({ changes }) => changes.map(({ after }) => after?.kind.case)));
    };
    expect(await kinds(root.admin)).toContain("token");
    expect(await kinds(admin)).not.toContain("token");
    const { revision } = await root.admin.listTokens({});
    expect(await codeOf(root.admin.getHistoryEntry({ revision }))).toBe("ok");
    expect(await codeOf(admin.getHistoryEntry({ revision }))).toBe("NotFound");
  });
});

describe("a ticket", () => {
  test("opens no other environment by a header either", async () => {
    const server = await start();
    const root = await withAdmin(server);
    await root.admin.createEnvironment({ environment: { name: "staging" } });
    const headers = { authorization: `Bearer ${root.bearer}`, "flagwire-environment": "staging" };
    const url = `http://${server.address}/ofrep/v1/evaluate/flags`;
    const answer = (await (await fetch(url, { method: "POST", headers, body: "{}" })).json()) as {
      eventStreams: { endpoint: { requestUri: string } }[];
    };
    const { requestUri } = answer.eventStreams[0]?.endpoint ?? { requestUri: "" };
    const open = async (environment: string) => {
      const stop = new AbortController();
      const response = await fetch(`http://${server.address}${requestUri}`, {
        headers: { "flagwire-environment": environment },
        signal: stop.signal,
      });
      const reader = response.body?.getReader();
      const { value } = (await reader?.read()) ?? {};
      const { value: more } = Buffer.from(value ?? []).includes("id:")
        ? { value: undefined }
        : ((await reader?.read()) ?? {});
      stop.abort();
      return /id: \S+/.exec(Buffer.concat([value ?? Buffer.of(), more ?? Buffer.of()]).toString())?.[0];
    };
    await root.admin.createFlag({ flag: flag("a") });
    const targeting = { flagKey: "a", environment: "staging", enabled: true };
    await root.admin.updateTargeting({ targeting, updateMask: { paths: ["enabled"] } });
    const own = await open("staging");
    expect(own).toBeDefined();
    expect(await open("production")).toBe(own);
  });
});

describe("a gate without tokens", () => {
  const gateAt = (
    host: string,
    options: { allowAnonymous?: boolean; ownToken?: string } = {},
    ids: readonly string[] = [],
  ): Gate =>
    createGate({
      head: {
        catalog: { tokenIds: () => ids, token: () => undefined },
        accessChanges: { subscribe: () => () => undefined },
      } as never,
      clock: new VirtualClock(),
      host,
      allowAnonymous: false,
      ...options,
    });
  const lets = (gate: Gate, peer: string, authorization?: string) =>
    !isRefusal(gate.identify({ peer, header: () => authorization }));

  test.each([
    ["127.0.0.1:5", true],
    ["::1:5", true],
    ["::ffff:127.0.0.1:5", true],
    ["::ffff:10.0.0.1:5", false],
    ["10.0.0.1:5", false],
    ["fe80::1:5", false],
    ["unknown", false],
    ["undefined:undefined", false],
    ["", false],
  ])("that listens everywhere lets %j in without a token: %j", (peer, expected) => {
    expect(lets(gateAt("::"), peer)).toBe(expected);
    expect(lets(gateAt("::", { allowAnonymous: true }), peer)).toBe(true);
  });

  test("lets the service itself in by its own token, also where others need one, for as long as it lives", () => {
    const gate = gateAt("0.0.0.0", { ownToken: "own" }, ["another"]);
    expect(lets(gate, "10.0.0.1:5", "Bearer own")).toBe(true);
    expect(lets(gate, "10.0.0.1:5", "Bearer owl")).toBe(false);
    const identity = gate.identify({ peer: "", header: () => "Bearer own" });
    expect(isRefusal(identity) || gate.admits(identity)).toBe(true);
  });
});

describe("creating a token", () => {
  test.each(["a\nb", "a\u001b[31m", " ", ""])("is refused for the name %j", async (name) => {
    const { admin } = await start();
    expect(await codeOf(admin.createToken({ token: { name, role: Role.ADMIN } }))).toBe("InvalidArgument");
  });
});
