import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService, type ExportResponse } from "../../gen/flagwire/v1/admin_service_pb.js";
import { openMirror } from "../../src/client/index.js";
import { SyncStream } from "../flagd-services/sync-support.js";
import { booleanFlag, everyone, openServer, type RestartableServer, refusalOf, rule, serve } from "./admin-support.js";
import { BULK } from "./ofrep-support.js";

const PAYMENTS = ["pay-a", "pay-b", "pay-c"];
const keys = [...PAYMENTS, "search"];
const settings = { enabled: true, offVariant: "off", default: serve("on") };

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
  for (const key of keys) {
    const tags = key.startsWith("pay") ? ["payments"] : [];
    await server.admin.createFlag({ flag: booleanFlag(key, { tags }), targeting: settings });
  }
});

/** A token of its own for each role, and clients that present it. The first is an admin's. */
async function tokens(...roles: Role[]) {
  const { bearer: root } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const admin = adminOf(root);
  const made = [];
  for (const role of roles) {
    const { bearer } = await admin.createToken({ token: { name: Role[role] ?? "", role } });
    made.push({ admin: adminOf(bearer), bearer, authorization: `Bearer ${bearer}` });
  }
  return { admin, made };
}

function adminOf(bearer: string): Client<typeof AdminService> {
  const transport = createGrpcTransport({
    baseUrl: `http://${server.address}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${bearer}`);
        return next(request);
      },
    ],
  });
  return createClient(AdminService, transport);
}

/** What each flag answers now: `true STATIC`. */
async function answers(authorization = ""): Promise<Record<string, string>> {
  const headers: Record<string, string> = authorization === "" ? {} : { authorization };
  const { body } = await server.json("flagwire.v1.EvaluationService/BulkEvaluate", {}, headers);
  const { evaluations } = body as { evaluations: { flagKey: string; value?: boolean; reason: string }[] };
  return Object.fromEntries(evaluations.map(({ flagKey, value, reason }) => [flagKey, `${value} ${reason}`]));
}

const alive = { "pay-a": "true STATIC", "pay-b": "true STATIC", "pay-c": "true STATIC", search: "true STATIC" };
const killed = { ...alive, "pay-a": "false KILLED", "pay-b": "false KILLED", "pay-c": "false KILLED" };

it("a kill by tag, pressed by an operator, is one revision that mirrors, flagd's clients and OFREP's see whole", async () => {
  const { admin, made } = await tokens(Role.OPERATOR, Role.READER);
  const [operator, reader] = made;
  if (operator === undefined || reader === undefined) throw new Error("no tokens");
  const { authorization } = reader;
  await using mirror = await openMirror({ address: server.address, token: reader.bearer });
  const changes: { keys: readonly string[]; revision: number }[] = [];
  mirror.on("change", ({ keys, revision }) => changes.push({ keys: [...keys].sort(), revision }));
  const stream = new SyncStream(server.address, { authorization });
  const before = await stream.next();
  expect(before["pay-a"]).toMatchObject({ state: "ENABLED", defaultVariant: "on" });

  const { revision, flagKeys } = await operator.admin.killFlags({ tag: "payments", reason: "INC-7" });
  expect(flagKeys).toEqual(PAYMENTS);

  await mirror.waitFor(revision);
  expect(changes).toEqual([{ keys: PAYMENTS, revision: Number(revision) }]);
  expect(keys.map((key) => mirror.boolean(key, true))).toEqual([false, false, false, true]);
  expect(mirror.details("pay-a", true).reason).toBe("KILLED");
  // All of it with the first payload that has any of it.
  const after = await stream.next();
  const { defaultVariant } = after["pay-a"] ?? {};
  expect(defaultVariant).not.toBe("on");
  expect(PAYMENTS.map((key) => after[key]?.defaultVariant)).toEqual(PAYMENTS.map(() => defaultVariant));
  expect(after.search).toEqual(before.search);
  stream.close();
  const resolve = (flagKey: string) =>
    server.json("flagd.evaluation.v1.Service/ResolveBoolean", { flagKey }, { authorization });
  expect((await resolve("pay-b")).body).toMatchObject({ reason: "KILLED", variant: "off" });
  const bulk = await fetch(`http://${server.address}${BULK}`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: "{}",
  });
  const { flags } = (await bulk.json()) as { flags: { key: string; value: boolean; reason: string }[] };
  expect(flags.map(({ key, value, reason }) => [key, value, reason])).toEqual([
    // OFREP's word for it.
    ...PAYMENTS.map((key) => [key, false, "DISABLED"]),
    ["search", true, "STATIC"],
  ]);
  expect(await answers(authorization)).toEqual(killed);

  const { entries } = await admin.listHistory({ pageSize: 1 });
  expect(entries[0]).toMatchObject({ revision, author: "OPERATOR" });
  expect(entries[0]?.changes.length).toBe(3);
  const revived = await operator.admin.reviveFlags({ tag: "payments" });
  expect(revived).toMatchObject({ flagKeys: PAYMENTS, revision: revision + 1n });
  await mirror.waitFor(revived.revision);
  expect(keys.map((key) => mirror.boolean(key, false))).toEqual([true, true, true, true]);
});

describe("what an operator may write", () => {
  it("is a kill, a revival, the switch, and the end of a ramp's growth: nothing else", async () => {
    const { made } = await tokens(Role.OPERATOR);
    const authorization = made[0]?.authorization ?? "";
    const writes = AdminService.methods.filter(
      ({ idempotency, methodKind }) =>
        idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && methodKind === "unary",
    );
    const taken: string[] = [];
    for (const { name } of writes) {
      const { status } = await server.json(`flagwire.v1.AdminService/${name}`, {}, { authorization });
      if (status !== 403) taken.push(name);
    }
    expect(taken.sort()).toEqual(["AbortRamp", "KillFlags", "PauseRamp", "ReviveFlags", "UpdateTargeting"]);
    const operator = made[0]?.admin;
    if (operator === undefined) throw new Error("no token");
    const targeting = { flagKey: "pay-a", ...settings };
    expect((await refusalOf(operator.updateTargeting({ targeting }))).code).toBe("PermissionDenied");
    expect((await refusalOf(operator.import(oneOf({ file: {} })))).code).toBe("PermissionDenied");
    await operator.updateTargeting({ targeting, updateMask: { paths: ["enabled"] } });
  });
});

async function* oneOf<Part>(part: Part) {
  yield part;
}

describe("a killed flag stays killed", () => {
  const context = { targetingKey: "u" };
  const kill = () => server.admin.killFlags({ tag: "payments", reason: "INC-7" });

  it.each<[string, () => Promise<unknown>]>([
    ["when it is switched on", () => change({ enabled: true }, "enabled")],
    ["when its default changes", () => change({ default: serve("on") }, "default")],
    ["when a rule serves everyone", () => change({ rules: [rule(everyone, "on")] }, "rules")],
    [
      "when it is targeted at somebody",
      () => change({ targets: [{ variant: "on", targetingKeys: ["u"] }] }, "targets"),
    ],
    ["when all its settings are replaced", () => change({ ...settings, rules: [rule(everyone, "on")] })],
    ["when the flag is edited", () => server.admin.updateFlag({ flag: booleanFlag("pay-a", { tags: ["payments"] }) })],
    ["when its settings are imported", () => importAll([{ flagKey: "pay-a", ...settings }])],
    [
      "when a prerequisite of it is met",
      () => change({ prerequisites: [{ flagKey: "search", variants: ["on"] }] }, "prerequisites"),
    ],
    ["when everything goes back to what it was before", () => server.admin.rollback({ toRevision: 5n })],
    ["when a ramp is asked for", () => server.admin.startRamp({ flagKey: "pay-a", steps: [{ weight: 100_000 }] })],
  ])("%s", async (_what, write) => {
    await kill();
    await write();
    expect(await server.evaluation.evaluate({ flagKey: "pay-a", context })).toMatchObject({
      variant: "off",
      reason: "KILLED",
    });
    expect(await answers()).toEqual(killed);
  });

  it("when a file is imported that was exported before", async () => {
    const before: ExportResponse[] = [];
    for await (const part of server.admin.export({})) before.push(part);
    await kill();
    await server.admin.import(
      (async function* () {
        for (const { file } of before) yield file === undefined ? {} : { file };
      })(),
    );
    expect(await answers()).toEqual(killed);
  });

  function change(targeting: object, path?: string) {
    const updateMask = path === undefined ? {} : { updateMask: { paths: [path] } };
    return server.admin.updateTargeting({ targeting: { flagKey: "pay-a", ...targeting }, ...updateMask });
  }

  function importAll(targetings: object[]) {
    return server.admin.import(oneOf({ file: { targetings } }));
  }
});
