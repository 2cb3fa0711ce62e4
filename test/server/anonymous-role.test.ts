import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { FlagdProvider } from "@openfeature/flagd-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { createGate } from "../../src/server/access/gate.js";
import { isRefusal } from "../../src/server/refusal.js";
import { runFlagwire } from "../cli/run-flagwire.js";
import { enabled, flagOf, ON_OFF } from "../flagd-services/evaluation-support.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";

// What callers may do who have no token, on a server that has some.

const reader = { role: Role.READER, environments: ["production"] };

let server: TestServer;
let wrong: string;
beforeAll(async () => {
  server = await openTestServer({ anonymousRole: reader });
  const { admin } = server;
  await admin.createEnvironment({ environment: { name: "staging" } });
  await admin.createFlag({ flag: flagOf("bool", ON_OFF), targeting: enabled("on") });
  const { bearer } = await admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  wrong = `${bearer.slice(0, -4)}AAAA`;
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => OpenFeature.clearProviders());

async function refusalOf(call: Promise<unknown>): Promise<string> {
  const thrown = await call.then(
    () => expect.unreachable("answered"),
    (error: unknown) => ConnectError.from(error),
  );
  return `${Code[thrown.code]}: ${thrown.rawMessage}`;
}

describe("a caller without a token", () => {
  test("reads what the role may, and changes nothing", async () => {
    expect(await server.evaluation.evaluate({ flagKey: "bool" })).toMatchObject({ variant: "on" });
    expect(await refusalOf(server.admin.killFlags({ flagKeys: ["bool"], reason: "x" }))).toBe(
      "PermissionDenied: this needs the role operator; a caller without a token has reader",
    );
  });

  test("is told by the command line how to present one", async () => {
    const run = await runFlagwire(["kill", "bool", "--reason", "x", "--address", server.address]);
    expect(run).toEqual({
      exitCode: 3,
      stdout: "",
      stderr:
        "flagwire: this needs the role operator; a caller without a token (--token or FLAGWIRE_TOKEN) has reader\n",
    });
  });

  test("hears nothing of other environments", async () => {
    const elsewhere = server.evaluation.evaluate({ environment: "staging", flagKey: "bool" });
    expect(await refusalOf(elsewhere)).toBe(
      'PermissionDenied: a caller without a token is not for the environment "staging"',
    );
  });

  test("is not one with a wrong token", async () => {
    const transport = createGrpcTransport({ baseUrl: `http://${server.address}` });
    const headers = { authorization: `Bearer ${wrong}` };
    const asked = createClient(EvaluationService, transport).evaluate({ flagKey: "bool" }, { headers });
    expect(await refusalOf(asked)).toMatch(/^Unauthenticated/);
  });

  test.each(["rpc", "in-process"] as const)("is flagd's provider for Node too, %s", async (resolverType) => {
    const { host, port } = server.server.address;
    const provider = new FlagdProvider({ host, port, resolverType, deadlineMs: 5_000 });
    await OpenFeature.setProviderAndWait(resolverType, provider);
    const details = await OpenFeature.getClient(resolverType).getBooleanDetails("bool", false);
    expect(details).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
  });
});

describe("a gate with a role for callers without a token", () => {
  const gateWith = (
    tokenIds: readonly string[],
    clientRoles: { name: string; role: Role; environments: [] }[] = [],
    allowAnonymous = false,
  ) =>
    createGate({
      head: {
        catalog: { tokenIds: () => tokenIds, token: () => undefined },
        accessChanges: { subscribe: () => () => undefined },
      } as never,
      clock: new VirtualClock(),
      host: "::",
      allowAnonymous,
      anonymousRole: reader,
      clientRoles,
      limits: { callsPerSecond: 1, streams: 1 },
    });
  const roleOf = (gate: ReturnType<typeof gateWith>, peer: string) => {
    const identity = gate.identify({ peer, header: () => undefined });
    if (isRefusal(identity)) return identity.code;
    expect(gate.admits(identity)).toBe(true);
    return Role[identity.role];
  };

  test.each([
    ["without tokens, from this machine", [], [], "127.0.0.1:5", "ADMIN"],
    ["without tokens, from another", [], [], "10.0.0.1:5", "READER"],
    ["with tokens", ["a"], [], "127.0.0.1:5", "READER"],
    ["with roles of certificates", [], [{ name: "ops", role: Role.ADMIN, environments: [] }], "127.0.0.1:5", "READER"],
  ] as const)("%s", (_case, tokenIds, clientRoles, peer, role) => {
    expect(roleOf(gateWith(tokenIds, [...clientRoles] as never), peer)).toBe(role);
  });

  test("gives strangers that role and no more, although they need no token", () => {
    const gate = gateWith([], [], true);
    expect(roleOf(gate, "10.0.0.1:5")).toBe("READER");
    expect(roleOf(gate, "127.0.0.1:5")).toBe("ADMIN");
  });

  test("holds them to the limits of one token, all together, and nobody where nothing is needed", () => {
    const outcomes = (tokenIds: readonly string[]) => {
      const gate = gateWith(tokenIds);
      return ["127.0.0.1:5", "127.0.0.1:6"].map((peer) => {
        const identity = gate.identify({ peer, header: () => undefined });
        if (isRefusal(identity)) return identity.code;
        const stream = gate.openStream(identity);
        return [gate.refuseCall(identity)?.message, isRefusal(stream) ? stream.message : undefined];
      });
    };
    expect(outcomes(["a"])).toEqual([
      [undefined, undefined],
      [
        "too many calls without a token; try again in 1 s",
        "1 streams are open without a token, as many as there may be at a time",
      ],
    ]);
    expect(outcomes([])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });
});

test("an environment that there is not is warned of at the start", async () => {
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line) => lines.push(line) });
  const anonymousRole = { role: Role.READER, environments: ["production", "nope"] };
  await using _server = await openTestServer({ anonymousRole, log });
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    'there is no environment "nope" for the callers without a token to ask for',
  ]);
});
