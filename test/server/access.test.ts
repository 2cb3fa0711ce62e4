import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { openTestServer, type TestServer } from "../support/server.js";

let servers: TestServer[] = [];

afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  servers = [];
});

async function start(): Promise<TestServer> {
  const server = await openTestServer();
  servers.push(server);
  return server;
}

/** Clients that present a token, or whatever else is said. */
function clientsOf(server: TestServer, authorization: string | undefined, protocol: "grpc" | "connect" = "grpc") {
  const baseUrl = `http://${server.address}`;
  const interceptors = [
    (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
      if (authorization !== undefined) request.header.set("authorization", authorization);
      return next(request as never);
    },
  ] as never;
  const transport =
    protocol === "grpc"
      ? createGrpcTransport({ baseUrl, interceptors })
      : createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors });
  return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
}

interface Wanted {
  readonly name?: string;
  readonly role: Role;
  readonly environments?: string[];
}

/** The first token has to be an admin's to create others. */
async function withTokens(server: TestServer, ...wanted: readonly Wanted[]) {
  const { bearer: root } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const { admin } = clientsOf(server, `Bearer ${root}`);
  const made = [];
  for (const { name = "someone", role, environments = [] } of wanted) {
    const { bearer, token } = await admin.createToken({ token: { name, role, environments } });
    made.push({ ...clientsOf(server, `Bearer ${bearer}`), bearer, id: token?.id ?? "" });
  }
  return { admin, root, made };
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => Code[ConnectError.from(error).code],
  );

const flag = (key: string) => ({
  key,
  type: FlagType.BOOLEAN,
  kind: FlagKind.OPERATIONAL,
  variants: {
    on: { kind: { case: "boolValue" as const, value: true } },
    off: { kind: { case: "boolValue" as const, value: false } },
  },
});

describe("as long as there is no token", () => {
  test("callers on this machine may do everything", async () => {
    const { admin } = await start();
    expect(await codeOf(admin.createFlag({ flag: flag("a") }))).toBe("ok");
  });

  test.each(["Bearer abc", "Basic dTpw", "Bearer", ""])("%j is refused all the same", async (authorization) => {
    const { admin } = clientsOf(await start(), authorization);
    expect(await codeOf(admin.listFlags({}))).toBe("Unauthenticated");
  });
});

describe("from the first token on", () => {
  test.each(["grpc", "connect"] as const)("every call by %s needs one, health does not", async (protocol) => {
    const server = await start();
    const { root } = await withTokens(server);
    expect(await codeOf(clientsOf(server, undefined, protocol).admin.listFlags({}))).toBe("Unauthenticated");
    expect(await codeOf(clientsOf(server, `Bearer ${root}`, protocol).admin.listFlags({}))).toBe("ok");
    expect((await fetch(`http://${server.address}/readyz`)).status).toBe(200);
  });

  test("a token that is nearly right is as unknown as any other", async () => {
    const server = await start();
    const { root } = await withTokens(server);
    const last = root.endsWith("A") ? "B" : "A";
    for (const wrong of [root.slice(0, -1), `${root.slice(0, -1)}${last}`, `${root}A`, root.replace("fw_", "fx_")]) {
      expect(await codeOf(clientsOf(server, `Bearer ${wrong}`).admin.listFlags({}))).toBe("Unauthenticated");
    }
  });

  test("the author of a change is the token's name, whatever the caller says", async () => {
    const server = await start();
    const { admin } = await withTokens(server);
    await admin.createFlag({ flag: flag("a") }, { headers: { "flagwire-author": "somebody else" } });
    const { entries } = await admin.listHistory({ flagKey: "a" });
    expect(entries.map(({ author }) => author)).toEqual(["root"]);
  });

  test("nothing that is kept of a secret is in an answer", async () => {
    const server = await start();
    const { admin, root } = await withTokens(server, { role: Role.READER });
    const { entries } = await admin.listHistory({});
    const records = entries.flatMap(({ changes }) => changes.map(({ after }) => after?.kind));
    const tokens = records.flatMap((kind) => (kind?.case === "token" ? [kind.value] : []));
    expect(tokens.map(({ token }) => token?.name)).toEqual(["someone", "root"]);
    expect(tokens.map(({ secretSha256 }) => secretSha256.length)).toEqual([0, 0]);
    expect(
      JSON.stringify(await admin.listTokens({}), (_key, value) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toContain(root.slice(-43));
  });

  test("tokens survive a restart", async () => {
    const server = await start();
    const { root } = await withTokens(server);
    const { revision } = server.server;
    expect(revision).toBeGreaterThan(1n);
    expect(await codeOf(clientsOf(server, `Bearer ${root}`).admin.listTokens({}))).toBe("ok");
  });
});

describe("a role", () => {
  const calls = {
    evaluate: ({ evaluation }) => evaluation.evaluate({ flagKey: "a" }),
    explain: ({ evaluation }) => evaluation.evaluate({ flagKey: "a", explain: true }),
    watch: ({ evaluation }) => first(evaluation.watch({ once: true })),
    list: ({ admin }) => admin.listFlags({}),
    history: ({ admin }) => admin.listHistory({}),
    kill: ({ admin }) => admin.killFlags({ flagKeys: ["a"], reason: "test" }),
    revive: ({ admin }) => admin.reviveFlags({ flagKeys: ["a"] }),
    switch: ({ admin }) =>
      admin.updateTargeting({ targeting: { flagKey: "a", enabled: true }, updateMask: { paths: ["enabled"] } }),
    retarget: ({ admin }) =>
      admin.updateTargeting({ targeting: { flagKey: "a", offVariant: "off" }, updateMask: { paths: ["off_variant"] } }),
    replace: ({ admin }) => admin.updateTargeting({ targeting: { flagKey: "a", enabled: true } }),
    create: ({ admin }) => admin.createFlag({ flag: flag("b") }),
    environment: ({ admin }) => admin.createEnvironment({ environment: { name: "staging" } }),
    token: ({ admin }) => admin.createToken({ token: { name: "x", role: Role.READER } }),
    tokens: ({ admin }) => admin.listTokens({}),
  } satisfies Record<string, (clients: ReturnType<typeof clientsOf>) => Promise<unknown>>;

  const permitted: Record<string, readonly (keyof typeof calls)[]> = {
    EVALUATOR: ["evaluate"],
    READER: ["evaluate", "explain", "watch", "list", "history"],
    OPERATOR: ["evaluate", "explain", "watch", "list", "history", "kill", "revive", "switch"],
    EDITOR: [
      "evaluate",
      "explain",
      "watch",
      "list",
      "history",
      "kill",
      "revive",
      "switch",
      "retarget",
      "replace",
      "create",
    ],
    ADMIN: Object.keys(calls) as (keyof typeof calls)[],
  };

  test.each(Object.entries(permitted))("%s may do just what it is for", async (name, may) => {
    const server = await start();
    await server.admin.createFlag({ flag: flag("a") });
    const { made } = await withTokens(server, { role: Role[name as "READER"] });
    const [clients] = made;
    if (clients === undefined) throw new Error("no token was made");
    const done: string[] = [];
    for (const [what, call] of Object.entries(calls)) {
      const code = await codeOf(call(clients));
      if (code === "ok") done.push(what);
      else expect([what, code]).toEqual([what, "PermissionDenied"]);
    }
    expect(done).toEqual(may);
  });

  test("that does not suffice is named with the one that does", async () => {
    const server = await start();
    const { made } = await withTokens(server, { role: Role.READER });
    await expect(made[0]?.admin.createFlag({ flag: flag("b") })).rejects.toThrow(
      "this needs the role editor; the token has reader",
    );
  });

  test("is told of what suffices for all that the request asks for", async () => {
    const server = await start();
    const { made } = await withTokens(server, { role: Role.READER });
    const targeting = { flagKey: "a", offVariant: "off" };
    await expect(made[0]?.admin.updateTargeting({ targeting, updateMask: { paths: ["off_variant"] } })).rejects.toThrow(
      "this needs the role editor; the token has reader",
    );
  });
});

describe("a token for some environments", () => {
  async function setUp(role: Role) {
    const server = await start();
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.createEnvironment({ environment: { name: "test" } });
    await server.admin.createFlag({ flag: flag("a") });
    const { made, admin } = await withTokens(server, { role, environments: ["staging", "test"] });
    const [limited] = made;
    if (limited === undefined) throw new Error("no token was made");
    return { ...limited, root: admin };
  }

  test("means the first of them where a request names none", async () => {
    const { root, evaluation, admin } = await setUp(Role.EDITOR);
    await root.updateTargeting({
      environment: "staging",
      targeting: { flagKey: "a", enabled: true },
      updateMask: { paths: ["enabled"] },
    });
    expect((await evaluation.evaluate({ flagKey: "a" })).value?.kind.value).toBe(true);
    expect((await admin.getTargeting({ flagKey: "a" })).targeting?.environment).toBe("staging");
  });

  test("is refused elsewhere", async () => {
    const { evaluation, admin } = await setUp(Role.EDITOR);
    expect(await codeOf(evaluation.evaluate({ flagKey: "a", environment: "production" }))).toBe("PermissionDenied");
    expect(await codeOf(evaluation.bulkEvaluate({ environment: "production" }))).toBe("PermissionDenied");
    expect(await codeOf(first(evaluation.watch({ environment: "production", once: true })))).toBe("PermissionDenied");
    expect(await codeOf(admin.killFlags({ environment: "production", flagKeys: ["a"], reason: "x" }))).toBe(
      "PermissionDenied",
    );
    expect(await codeOf(first(admin.export({ environment: "production" })))).toBe("PermissionDenied");
    expect(await codeOf(admin.listHistory({ environment: "production" }))).toBe("PermissionDenied");
  });

  test("changes nothing that all environments share", async () => {
    const { admin } = await setUp(Role.EDITOR);
    expect(await codeOf(admin.deleteFlag({ key: "a" }))).toBe("PermissionDenied");
    expect(await codeOf(admin.createFlag({ flag: flag("b") }))).toBe("PermissionDenied");
    expect(
      await codeOf(admin.updateTargeting({ targeting: { flagKey: "a", environment: "test", enabled: true } })),
    ).toBe("ok");
  });

  test("sees nothing of others", async () => {
    const { admin } = await setUp(Role.READER);
    const { targetings } = await admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment }) => environment)).toEqual(["staging", "test"]);
    const { entries } = await admin.listHistory({ flagKey: "a" });
    const seen = entries.flatMap(({ changes }) => changes.map(({ environment }) => environment));
    expect(seen).not.toContain("production");
    expect(seen).toContain("staging");
    const files = [];
    for await (const { file } of admin.export({})) files.push(...(file?.targetings ?? []));
    expect(files.map(({ environment }) => environment)).toEqual(["staging", "test"]);
  });
});

describe("revoking a token", () => {
  test.each(["grpc", "connect"] as const)("ends its streams over %s at once, and nobody else's", async (protocol) => {
    const server = await start();
    const { admin, made } = await withTokens(
      server,
      { name: "one", role: Role.READER },
      { name: "two", role: Role.READER },
    );
    const [one, two] = made;
    if (one === undefined || two === undefined) throw new Error("no tokens were made");
    const stopTwo = new AbortController();
    const ends = [one, two].map(({ bearer }, index) => {
      const { evaluation } = clientsOf(server, `Bearer ${bearer}`, protocol);
      const received = { updates: 0, end: "" };
      void codeOf(
        (async () => {
          const options = index === 1 ? { signal: stopTwo.signal } : {};
          for await (const message of evaluation.watch({}, options)) if (message.commit) received.updates++;
        })(),
      ).then((code) => {
        received.end = code ?? "";
      });
      return received;
    });
    await vi.waitFor(() => expect(ends.map(({ updates }) => updates)).toEqual([1, 1]));
    await admin.revokeToken({ id: one.id });
    await vi.waitFor(() => expect(ends[0]?.end).toBe("Unauthenticated"));
    await admin.createFlag({ flag: flag("later") });
    await vi.waitFor(() => expect(ends[1]?.updates).toBe(2));
    expect(ends[0]?.updates).toBe(1);
    expect(await codeOf(one.evaluation.evaluate({ flagKey: "later" }))).toBe("Unauthenticated");
    stopTwo.abort();
    await vi.waitFor(() => expect(ends[1]?.end).not.toBe(""));
  });

  test("the last admin's is refused while there are others", async () => {
    const server = await start();
    const { admin, made } = await withTokens(server, { role: Role.READER });
    const { tokens } = await admin.listTokens({});
    const root = tokens.find(({ name }) => name === "root")?.id ?? "";
    await expect(admin.revokeToken({ id: root })).rejects.toThrow("this is the last admin token");
    await admin.revokeToken({ id: made[0]?.id ?? "" });
    await admin.revokeToken({ id: root });
    expect(await codeOf(server.admin.listFlags({}))).toBe("ok");
  });

  test("one that does not exist is refused", async () => {
    const { admin } = await start();
    expect(await codeOf(admin.revokeToken({ id: "nobody" }))).toBe("NotFound");
  });
});

describe("creating a token", () => {
  test("two live ones may share a name, so that one can take the other's place; a third may not", async () => {
    const server = await start();
    const { admin } = await withTokens(server, { name: "ci", role: Role.READER }, { name: "ci", role: Role.READER });
    await expect(admin.createToken({ token: { name: "ci", role: Role.READER } })).rejects.toThrow("two live tokens");
  });

  test("is refused with each field that is wrong", async () => {
    const { admin } = await start();
    await expect(admin.createToken({ token: { expiresAt: { seconds: 1n, nanos: 0 } } })).rejects.toThrow(
      /token.name: is required \(and 2 more\)/,
    );
    await expect(
      admin.createToken({ token: { name: "a", role: Role.READER, environments: ["nowhere"] } }),
    ).rejects.toThrow('there is no environment "nowhere"');
  });

  test("shows nothing for a dry run, and keeps nothing", async () => {
    const { admin } = await start();
    const { bearer } = await admin.createToken({ token: { name: "a", role: Role.ADMIN }, dryRun: true });
    expect(bearer).toBe("");
    expect((await admin.listTokens({})).tokens).toEqual([]);
  });

  test("is not repeated, because what was shown once is not kept", async () => {
    const server = await start();
    const request = { token: { name: "a", role: Role.ADMIN }, idempotencyKey: "k" };
    const { bearer } = await server.admin.createToken(request);
    const { admin } = clientsOf(server, `Bearer ${bearer}`);
    expect(await codeOf(admin.createToken(request))).toBe("AlreadyExists");
    expect((await admin.listTokens({})).tokens).toHaveLength(1);
  });
});

async function first<T>(stream: AsyncIterable<T>): Promise<T | undefined> {
  for await (const message of stream) return message;
  return undefined;
}
