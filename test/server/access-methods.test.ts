import { readFileSync } from "node:fs";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Service as FlagdV1 } from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import { Service as FlagdV2 } from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { FlagSyncService } from "../../gen/flagd/sync/v1/sync_pb.js";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { Service as SchemaV1 } from "../../gen/schema/v1/schema_pb.js";
import { roleName } from "../../src/server/access/identity.js";
import { concernsEverywhere, requiredRole } from "../../src/server/access/permissions.js";
import { openTestServer, type TestServer } from "../support/server.js";

// Every method of every service, by reflection, against the table in docs/access.md: a method that nobody thought of fails here.

const SERVICES: readonly DescService[] = [EvaluationService, AdminService, FlagdV2, FlagdV1, SchemaV1, FlagSyncService];
const ROLES = [Role.EVALUATOR, Role.READER, Role.OPERATOR, Role.EDITOR, Role.ADMIN];
const KINDS = ["its own", "shown of its own", "refused", "all the same"] as const;

const methods = SERVICES.flatMap((service) => service.methods);
const rows = new Map(
  [
    ...readFileSync(new URL("../../docs/access.md", import.meta.url), "utf8").matchAll(
      /^\| `(.*)` \| (.*) \| (.*) \|$/gm,
    ),
  ].map(([, name = "", role = "", limited = ""]) => [name, { role, limited }] as const),
);

const nameOf = ({ parent, name }: DescMethod) => `${parent.typeName.replace("flagwire.v1.", "")}/${name}`;
const isLimitedTo = (method: DescMethod, kind: (typeof KINDS)[number]) => rows.get(nameOf(method))?.limited === kind;

describe("the table of methods in docs/access.md", () => {
  test("has each method once, and no other", () => {
    expect([...rows.keys()].sort()).toEqual(methods.map(nameOf).sort());
  });

  test.each(methods.map((method) => [nameOf(method), method] as const))(
    "says of %s what is checked",
    (name, method) => {
      const row = rows.get(name);
      expect(row?.role).toBe(roleName(requiredRole(method)));
      expect(row?.limited === "refused").toBe(concernsEverywhere(method));
      expect(KINDS).toContain(row?.limited);
    },
  );
});

/** What makes a request ask for an environment before anything else is wrong with it. */
const complete: Readonly<Record<string, object>> = {
  "AdminService/KillFlags": { reason: "x" },
  "AdminService/UpdateTargeting": { targeting: { flagKey: "a" }, updateMask: { paths: ["enabled"] } },
  "AdminService/CreateSegment": { segment: { key: "s" } },
  "AdminService/UpdateSegment": { segment: { key: "s" } },
};

interface Asked {
  readonly token?: string | undefined;
  readonly environment?: string;
}

const PROTOCOLS = ["grpc", "connect", "grpc-web"] as const;
type Protocol = (typeof PROTOCOLS)[number];

let server: TestServer;
const tokens = new Map<string, string>();

beforeAll(async () => {
  server = await openTestServer();
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  await server.admin.createFlag({
    flag: {
      key: "a",
      type: FlagType.BOOLEAN,
      kind: FlagKind.OPERATIONAL,
      variants: {
        on: { kind: { case: "boolValue", value: true } },
        off: { kind: { case: "boolValue", value: false } },
      },
    },
  });
  const { bearer: root } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  tokens.set("root", root);
  const headers = { authorization: `Bearer ${root}` };
  for (const role of ROLES) {
    const token = { name: roleName(role), role };
    tokens.set(roleName(role), (await server.admin.createToken({ token }, { headers })).bearer);
    if (role === Role.ADMIN) continue;
    const limited = { name: `${roleName(role)} of staging`, role, environments: ["staging"] };
    tokens.set(limited.name, (await server.admin.createToken({ token: limited }, { headers })).bearer);
  }
});

afterAll(() => server[Symbol.asyncDispose]());

/** How a call ends: the reason of its refusal, its code where there is none, or that it was answered. */
async function ask(method: DescMethod, { token, environment }: Asked, protocol: Protocol = "grpc"): Promise<string> {
  const stop = new AbortController();
  const setHeaders: Interceptor = (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${tokens.get(token)}`);
    if (environment !== undefined && !hasEnvironment(method)) request.header.set("flagwire-environment", environment);
    return next(request);
  };
  const baseUrl = `http://${server.address}`;
  const interceptors = [setHeaders];
  const transport =
    protocol === "grpc"
      ? createGrpcTransport({ baseUrl, interceptors })
      : protocol === "connect"
        ? createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors })
        : createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors });
  const client = createClient(method.parent, transport) as unknown as Record<
    string,
    (input: unknown, options: object) => unknown
  >;
  const request = {
    ...complete[nameOf(method)],
    ...(environment !== undefined && hasEnvironment(method) && { environment }),
  };
  const input = method.methodKind === "client_streaming" ? one(request) : request;
  try {
    const answer = client[method.localName]?.(input, { signal: stop.signal });
    if (method.methodKind === "server_streaming") for await (const _ of answer as AsyncIterable<unknown>) break;
    else await answer;
    return "answered";
  } catch (error) {
    const failure = ConnectError.from(error);
    return failure.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[failure.code] ?? "";
  } finally {
    stop.abort();
  }
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

function hasEnvironment({ input }: DescMethod): boolean {
  return input.fields.some(({ name, fieldKind }) => name === "environment" && fieldKind === "scalar");
}

const isGuard = (end: string) => /^(TOKEN_MISSING|TOKEN_UNKNOWN|ROLE_|ENVIRONMENT_NOT_PERMITTED)/.test(end);

describe.each(PROTOCOLS)("over %s", (protocol) => {
  test("no method answers a caller without a token", async () => {
    const ends = await Promise.all(methods.map(async (method) => [nameOf(method), await ask(method, {}, protocol)]));
    expect(ends).toEqual(methods.map((method) => [nameOf(method), "TOKEN_MISSING"]));
  });

  test.each(ROLES.map(roleName))("%s calls the methods that its role suffices for, and no other", async (role) => {
    const own = ROLES.find((one) => roleName(one) === role) ?? Role.UNSPECIFIED;
    const ends = await Promise.all(
      methods.map(async (method) => [nameOf(method), isGuard(await ask(method, { token: role }, protocol))]),
    );
    expect(ends).toEqual(methods.map((method) => [nameOf(method), requiredRole(method) > own]));
  });
});

describe("a token for staging", () => {
  const mightiest = (method: DescMethod) => `${roleName(requiredRole(method))} of staging`;
  const concerned = methods.filter((method) => requiredRole(method) < Role.ADMIN);

  test.each(
    concerned.filter((method) => isLimitedTo(method, "its own")).map((method) => [nameOf(method), method] as const),
  )("is refused in production by %s, and not at home", async (_name, method) => {
    const token = mightiest(method);
    expect(await ask(method, { token, environment: "production" })).toBe("ENVIRONMENT_NOT_PERMITTED");
    expect(await ask(method, { token, environment: "nowhere" })).toBe("ENVIRONMENT_NOT_PERMITTED");
    expect(isGuard(await ask(method, { token, environment: "staging" }))).toBe(false);
  });

  test.each(
    concerned.filter((method) => isLimitedTo(method, "refused")).map((method) => [nameOf(method), method] as const),
  )("is refused by %s, which concerns all environments", async (_name, method) => {
    expect(await ask(method, { token: mightiest(method) })).toBe("ENVIRONMENT_NOT_PERMITTED");
  });
});
