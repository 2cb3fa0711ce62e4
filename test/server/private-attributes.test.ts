import { toJsonString } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { EvaluateResponse } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Trace, TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { UpdateKind, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { openRemote } from "../../src/client/index.js";
import {
  booleanFlag,
  expectRefused,
  invalid,
  match,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
  text,
} from "./admin-support.js";
import { clientsOf, clientsWith } from "./past-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

/** Makes these private, and nothing else otherwise. */
function makePrivate(privateAttributes: string[], name = "production") {
  return server.admin.updateEnvironment({
    environment: { name, privateAttributes },
    updateMask: { paths: ["private_attributes"] },
  });
}

const SECRET = "s3cr3t@example.com";
const context = { targetingKey: "user-1", attributes: { email: SECRET, user: { ip: SECRET }, plan: "pro" } };

/** A flag whose rules ask for the plan and for all that is secret. */
async function createFlag() {
  const rules = [
    rule(match("user.ip", Operator.IN, text("::1")), "off"),
    rule(match("email", Operator.ENDS_WITH, text("@corp.test")), "off"),
    rule(match("plan", Operator.IN, text("pro")), "on"),
  ];
  await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, rules, default: serve("off") } });
}

function traceOf({ trace }: EvaluateResponse): string {
  if (trace === undefined) throw new Error("there is no trace");
  return toJsonString(TraceSchema, trace);
}

describe("private attributes of an environment", () => {
  it("are left out of explanations, together with the caller's own", async () => {
    await createFlag();
    const question = { flagKey: "a", context, explain: true };
    expect(traceOf(await server.evaluation.evaluate(question))).toContain(SECRET);
    await makePrivate(["email"]);
    const named = { ...context, privateAttributes: ["user"] };
    expect(traceOf(await server.evaluation.evaluate(question))).toContain(SECRET);
    const trace = traceOf(await server.evaluation.evaluate({ ...question, context: named }));
    expect(trace).not.toContain(SECRET);
    expect(trace).toContain("pro");
    await makePrivate(["email", "user.ip"]);
    expect(traceOf(await server.evaluation.evaluate(question))).not.toContain(SECRET);
  });

  it("are left out of what a remote client explains", async () => {
    await createFlag();
    await makePrivate(["email", "user"]);
    await using remote = await openRemote({ address: server.address });
    const { trace } = await remote.explain("a", false, { targetingKey: "user-1", ...context.attributes });
    expect(trace?.flags).toHaveLength(1);
    expect(toJsonString(TraceSchema, trace as Trace)).not.toContain(SECRET);
  });

  it("are left out of explanations of the past too, which know of what is private now", async () => {
    await createFlag();
    const { revision } = await server.admin.getFlag({ key: "a" });
    const question = { flagKey: "a", context, explain: true, atRevision: revision };
    expect(traceOf(await server.evaluation.evaluate(question))).toContain(SECRET);
    await makePrivate(["email", "user"]);
    expect(traceOf(await server.evaluation.evaluate(question))).not.toContain(SECRET);
  });

  it("are those of one environment", async () => {
    await createFlag();
    await server.admin.createEnvironment({ environment: { name: "staging" }, copyFrom: "production" });
    await makePrivate(["email", "user"], "staging");
    const question = { flagKey: "a", context, explain: true };
    expect(traceOf(await server.evaluation.evaluate(question))).toContain(SECRET);
    expect(traceOf(await server.evaluation.evaluate({ ...question, environment: "staging" }))).not.toContain(SECRET);
  });

  it("hold in an environment that is made after it, unless that names others", async () => {
    await makePrivate(["email"]);
    const create = async (name: string, privateAttributes: string[], copyFrom: string) =>
      (await server.admin.createEnvironment({ environment: { name, privateAttributes }, copyFrom })).environment;
    expect(await create("copy", [], "production")).toMatchObject({ privateAttributes: ["email"] });
    expect(await create("other", ["ip"], "production")).toMatchObject({ privateAttributes: ["ip"] });
    expect(await create("own", [], "")).toMatchObject({ privateAttributes: [] });
  });

  it.each([
    ["an empty name", ["email", ""], ["environment.private_attributes[1]"]],
    ["a name twice", ["email", "ip", "email"], ["environment.private_attributes[2]"]],
    ["a name of 257 characters", ["a".repeat(257)], ["environment.private_attributes[0]"]],
    ["257 names", Array.from({ length: 257 }, (_, index) => `a${index}`), ["environment.private_attributes"]],
  ])("with %s are refused by the field", async (_what, privateAttributes, fields) => {
    const environment = { name: "staging", privateAttributes };
    await expectRefused(server, () => server.admin.createEnvironment({ environment }), invalid(...fields));
    await expectRefused(server, () => makePrivate(privateAttributes), invalid(...fields));
  });

  it("may be 256, of 256 characters each", async () => {
    const names = Array.from({ length: 256 }, (_, index) => String(index).padEnd(256, "x"));
    expect((await makePrivate(names)).environment?.privateAttributes).toEqual(names);
  });

  it("stay as they are in a rollback, and are told by history", async () => {
    await createFlag();
    const { revision } = await server.admin.getFlag({ key: "a" });
    await makePrivate(["email"]);
    await server.admin.updateFlag({ flag: { key: "a", owner: "ann" }, updateMask: { paths: ["owner"] } });
    await server.admin.rollback({ toRevision: revision });
    const { environment } = await server.admin.getEnvironment({ name: "production" });
    expect(environment?.privateAttributes).toEqual(["email"]);
    const { entry } = await server.admin.getHistoryEntry({ revision: revision + 1n });
    expect(entry?.changes[0]?.differences).toMatchObject([
      { path: "environment.private_attributes", before: "[]", after: '["email"]' },
    ]);
  });
});

describe("a change of an environment", () => {
  it("is of the fields of its mask, or of all of them", async () => {
    const environment = { name: "production", description: "Live.", privateAttributes: ["email"], keepContexts: true };
    const update = async (...paths: string[]) =>
      (await server.admin.updateEnvironment({ environment, updateMask: { paths } })).environment;
    expect(await update("description")).toMatchObject({ description: "Live.", privateAttributes: [] });
    expect(await update("keep_contexts")).toMatchObject({ keepContexts: true, privateAttributes: [] });
    expect(await update("private_attributes")).toMatchObject(environment);
    const cleared = await server.admin.updateEnvironment({ environment: { name: "production" } });
    expect(cleared.environment).toMatchObject({ description: "", privateAttributes: [], keepContexts: false });
  });

  it("is refused with a mask of anything else, or of nothing", async () => {
    const update = (...paths: string[]) =>
      server.admin.updateEnvironment({ environment: { name: "production" }, updateMask: { paths } });
    const wrong = invalid("update_mask.paths[1]", "update_mask.paths[2]");
    const error = await expectRefused(server, () => update("description", "created_by", "colour"), wrong);
    expect(error.message).toContain("created_by is not one of description, private_attributes, keep_contexts");
    await expectRefused(server, () => update(), invalid("update_mask.paths"));
  });
});

describe("what is told of an environment", () => {
  it("is how much it holds", async () => {
    for (const key of ["a", "b", "c"]) await server.admin.createFlag({ flag: booleanFlag(key) });
    for (const flagKey of ["a", "b"]) await server.admin.updateTargeting({ targeting: { flagKey, enabled: true } });
    await server.admin.killFlags({ flagKeys: ["b"], reason: "fire" });
    await server.admin.createSegment({ segment: { key: "s" } });
    const counts = { keptContexts: 0, flagCount: 3, enabledFlags: 2, killedFlags: 1, segmentCount: 1 };
    expect(await server.admin.getEnvironment({ name: "production" })).toMatchObject(counts);
  });

  it("is without counts for those who are limited to other environments", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const reader = await clientsWith(clientsOf(server.address, bearer), Role.READER, ["staging"]);
    expect(await reader.admin.getEnvironment({ name: "staging" })).toMatchObject({ flagCount: 1 });
    expect(await reader.admin.getEnvironment({ name: "production" })).toMatchObject({ flagCount: 0 });
  });
});

describe("a file with environments", () => {
  async function* requests(request: object) {
    yield request;
  }
  const one = (file: object) => requests({ file });
  const environmentOf = async (name: string) => (await server.admin.getEnvironment({ name })).environment;

  it("that was exported brings private attributes and whether contexts are kept to another server", async () => {
    const environment = { name: "production", privateAttributes: ["email"], keepContexts: true };
    await server.admin.updateEnvironment({ environment });
    await server.admin.createEnvironment({ environment: { ...environment, name: "staging", keepContexts: false } });
    const files = [];
    for await (const { file } of server.admin.export({})) files.push(file);
    server = await openServer();
    await server.admin.import(one(files[0] ?? {}));
    expect(await environmentOf("production")).toMatchObject(environment);
    expect(await environmentOf("staging")).toMatchObject({ privateAttributes: ["email"], keepContexts: false });
  });

  it("adds to what is private, and makes nothing public", async () => {
    const kept = { name: "production", privateAttributes: ["email", "ip"], keepContexts: true };
    await server.admin.updateEnvironment({ environment: kept });
    const file = { environments: [{ name: "production", privateAttributes: ["phone", "ip"] }] };
    await server.admin.import(one(file));
    const added = { privateAttributes: ["email", "ip", "phone"], keepContexts: true };
    expect(await environmentOf("production")).toMatchObject(added);
  });

  it("changes no environment and creates none for an editor, and is taken where they stay as they are", async () => {
    const root = await clientsWith(clientsOf(server.address), Role.ADMIN);
    await root.admin.createFlag({ flag: booleanFlag("a") });
    const editor = await clientsWith(root, Role.EDITOR);
    const denied = { code: "PermissionDenied", reason: "ROLE_INSUFFICIENT" };
    const changed = [
      { name: "production", keepContexts: true },
      { name: "production", privateAttributes: ["email"] },
      { name: "production", description: "d" },
      { name: "staging" },
    ];
    for (const environment of changed) {
      for (const dryRun of [false, true]) {
        const request = { file: { environments: [environment] }, skipInvalid: true, dryRun };
        expect(await refusalOf(editor.admin.import(requests(request)))).toMatchObject(denied);
      }
    }
    const flags = [booleanFlag("b")];
    await editor.admin.import(one({ environments: [{ name: "production" }], flags }));
    expect((await editor.admin.listEnvironments({})).environments).toMatchObject([{ keepContexts: false }]);
    await root.admin.import(one({ environments: changed.slice(0, 1) }));
  });

  it("is refused where a name is", async () => {
    const file = { environments: [{ name: "staging", privateAttributes: ["email", "email"] }] };
    const field = 'environments["staging"].environment.private_attributes[1]';
    await expectRefused(server, () => server.admin.import(one(file)), invalid(field));
  });
});

describe("a stream", () => {
  /** The messages up to the next commit, from the beginning or from where an earlier stream was. */
  async function next(request: object): Promise<readonly WatchResponse[]> {
    const stop = new AbortController();
    const messages: WatchResponse[] = [];
    for await (const message of server.evaluation.watch(request, { signal: stop.signal })) {
      messages.push(message);
      if (message.commit !== undefined) break;
    }
    stop.abort();
    return messages;
  }
  const itemsOf = (messages: readonly WatchResponse[]) =>
    messages.flatMap(({ items }) => items.map(({ kind }) => [kind.case, privateIn(kind.value)]));
  const privateIn = (value: unknown) => (value as { privateAttributes?: string[] }).privateAttributes;
  const positionOf = (messages: readonly WatchResponse[]) => messages.at(-1)?.commit?.position;
  const kindOf = (messages: readonly WatchResponse[]) => messages[0]?.begin?.kind;

  it("begins with what is private, where there is something", async () => {
    expect(itemsOf(await next({}))).toEqual([]);
    await makePrivate(["email"]);
    expect(itemsOf(await next({}))).toEqual([["environment", ["email"]]]);
  });

  it("that goes on is told of a change, also after a restart, and that nothing is private any more", async () => {
    const position = positionOf(await next({}));
    await makePrivate(["email"]);
    const changed = await next({ position });
    expect([kindOf(changed), itemsOf(changed)]).toEqual([UpdateKind.DELTA, [["environment", ["email"]]]]);
    await server.restart();
    const restarted = await next({ position });
    expect([kindOf(restarted), itemsOf(restarted)]).toEqual([UpdateKind.DELTA, [["environment", ["email"]]]]);
    await makePrivate([]);
    for (const from of [position, positionOf(changed)]) {
      const cleared = await next({ position: from });
      expect([kindOf(cleared), itemsOf(cleared)]).toEqual([UpdateKind.DELTA, [["environment", []]]]);
    }
    await server.restart();
    const again = await next({ position: positionOf(changed) });
    expect([kindOf(again), itemsOf(again)]).toEqual([UpdateKind.DELTA, [["environment", []]]]);
  });

  it("of another environment, or of a change of another field, is told nothing", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const position = positionOf(await next({}));
    await makePrivate(["email"], "staging");
    await server.admin.updateEnvironment({ environment: { name: "production", description: "Live." } });
    expect(itemsOf(await next({ position }))).toEqual([]);
  });
});

it("a mask is refused where there is no such environment", async () => {
  await expectRefused(server, () => makePrivate(["email"], "nowhere"), refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
});
