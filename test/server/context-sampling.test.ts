import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Service as FlagdService } from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { openMirror } from "../../src/client/index.js";
import type { Context } from "../../src/engine/index.js";
import { putEnvironment } from "../../src/server/admin/records.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";
import { commit } from "../store/fixtures.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { booleanFlag, refusalOf } from "./admin-support.js";

let clock: VirtualClock;
let server: Awaited<ReturnType<typeof openWorld>>;

/** A server on a store in memory, so that what is written is there as soon as its clock says so. */
async function openWorld() {
  const store = await openMemoryStore();
  const listen = { host: "127.0.0.1", port: 0 };
  const running = await openServer({ store, listen, clock, log: pino({ level: "silent" }) });
  if (running instanceof ListenProblem) throw new Error(running.message);
  const address = `${running.address.host}:${running.address.port}`;
  const transport = createGrpcTransport({ baseUrl: `http://${address}` });
  const stop = async () => {
    const stopped = running.stop(1_000).then(() => true);
    while (!(await Promise.race([stopped, clock.advance(1_000).then(() => false)])));
  };
  onTestFinished(stop);
  return {
    store,
    address,
    stop,
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
    flagd: createClient(FlagdService, transport),
    json: (path: string, body: object) =>
      fetch(`http://${address}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", connection: "close" },
        body: JSON.stringify(body),
      }).then((response) => response.text()),
  };
}

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2026, 0, 1));
  server = await openWorld();
  for (const key of ["a", "b"]) await server.admin.createFlag({ flag: booleanFlag(key) });
  await set(true);
});

/** Sets what `production` keeps. */
async function set(keepContexts: boolean, privateAttributes: string[] = []): Promise<void> {
  const environment = { name: "production", keepContexts, privateAttributes };
  await commit(server.store, [putEnvironment(create(EnvironmentSchema, environment))]);
  await clock.advance(0);
}

const evaluate = (targetingKey: string, attributes = {}, more = {}) =>
  server.evaluation.evaluate({ flagKey: "a", context: { targetingKey, attributes, ...more } });

/** What is on disk, once the interval and the time to write it are over; sorted by targeting key. */
async function kept(environment = "production"): Promise<Context[]> {
  await clock.advance(10_000);
  const rows = server.store.side?.entries() ?? [];
  return rows
    .filter(([key]) => key.startsWith(`contexts/${environment}/`) && !key.endsWith("/scope"))
    .map(([, text]) => JSON.parse(text)[2] as Context)
    .sort((a, b) => (a.targetingKey ?? "").localeCompare(b.targetingKey ?? ""));
}

describe("a server", () => {
  it("keeps contexts that it answers for, in every protocol", async () => {
    await evaluate("evaluate", { plan: "pro" });
    await server.evaluation.bulkEvaluate({ context: { targetingKey: "bulk" } });
    await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a", context: { targetingKey: "json" } });
    await server.json("ofrep/v1/evaluate/flags/a", { context: { targetingKey: "ofrep" } });
    await server.json("ofrep/v1/evaluate/flags", { context: { targetingKey: "ofrep-all" } });
    await server.flagd.resolveBoolean({ flagKey: "a", context: { targetingKey: "flagd" } });
    for await (const { kind } of server.evaluation.watchEvaluations({ context: { targetingKey: "watch" } })) {
      expect(kind.case).toBe("update");
      break;
    }
    const keys = ["bulk", "evaluate", "flagd", "json", "ofrep", "ofrep-all", "watch"];
    const contexts = await kept();
    expect(contexts.map(({ targetingKey }) => targetingKey).sort()).toEqual(keys);
    expect(contexts).toContainEqual({ targetingKey: "evaluate", plan: "pro" });
  });

  it("keeps none of the past, of an environment that keeps none, or that answers nothing", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const { revision } = await evaluate("now");
    const context = { targetingKey: "other" };
    await server.evaluation.evaluate({ flagKey: "a", context, atRevision: revision });
    await server.evaluation.evaluate({ flagKey: "a", context, environment: "staging" });
    await refusalOf(server.evaluation.evaluate({ flagKey: "nope", context }));
    expect(await kept()).toEqual([{ targetingKey: "now" }]);
    expect(await kept("staging")).toEqual([]);
  });

  it("keeps 50 of an interval", async () => {
    const evaluateMany = (name: string) =>
      Promise.all(Array.from({ length: 80 }, (_, user) => evaluate(`${name}-${user}`)));
    await evaluateMany("first");
    expect(await kept()).toHaveLength(50);
    await evaluateMany("later");
    expect(await kept()).toHaveLength(100);
  });

  it("counts a call for many flags as one", async () => {
    const ask = (user: number) => server.evaluation.bulkEvaluate({ context: { targetingKey: `user-${user}` } });
    await Promise.all(Array.from({ length: 50 }, (_, user) => ask(user)));
    expect(await kept()).toHaveLength(50);
  });

  it("leaves out what is private to the environment, or to the caller", async () => {
    await set(true, ["email"]);
    const attributes = { email: "a@b.c", user: { ip: "::1", name: "Ann" } };
    const more = { privateAttributes: ["user.ip"] };
    await evaluate("evaluate", attributes, more);
    await server.evaluation.evaluate({
      flagKey: "a",
      explain: true,
      context: { targetingKey: "explain", attributes, ...more },
    });
    await server.evaluation.bulkEvaluate({ context: { targetingKey: "bulk", attributes, ...more } });
    const context = { targetingKey: "watch", attributes, ...more };
    for await (const _ of server.evaluation.watchEvaluations({ context })) break;
    await evaluate("nobody", { email: "a@b.c" }, { privateAttributes: ["targetingKey"] });
    const user = { name: "Ann" };
    expect(await kept()).toEqual([
      {},
      { user, targetingKey: "bulk" },
      { user, targetingKey: "evaluate" },
      { user, targetingKey: "explain" },
      { user, targetingKey: "watch" },
    ]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["is switched off", () => set(false)],
    ["is switched off and on again", async () => [await set(false), await set(true)]],
    ["is given a private attribute", () => set(true, ["email"])],
  ])("keeps nothing that came before the environment %s", async (_what, change) => {
    await evaluate("before", { email: "a@b.c" });
    await change();
    expect(await kept()).toEqual([]);
  });

  it("keeps what came last when it is stopped", async () => {
    await evaluate("last");
    await server.stop();
    expect(await kept()).toEqual([{ targetingKey: "last" }]);
  });

  it("waits for nothing where no environment keeps any", async () => {
    await set(false);
    await clock.advance(10_000);
    const timers = clock.pendingTimers;
    await server.evaluation.watch({ once: true });
    await evaluate("ann");
    // The one that tells the ledger of usage.
    expect(clock.pendingTimers).toBe(timers + 1);
  });
});

let nextId = 0;

function report(contexts: object[], more = {}) {
  return server.evaluation.reportUsage({
    clientName: "web",
    reportId: `report-${nextId++}`,
    startTime: timestampFromMs(clock.now()),
    contexts,
    ...more,
  });
}

const users = (count: number, prefix = "user") =>
  Array.from({ length: count }, (_, index) => ({ targetingKey: `${prefix}-${index}` }));

describe("a report of usage", () => {
  it("is told how many contexts the next may carry, fewer where many report, and none where none are kept", async () => {
    expect(await report([])).toMatchObject({ wantedContexts: 50 });
    for (let count = 2; count < 10; count++) await report([]);
    expect(await report([])).toMatchObject({ wantedContexts: 5 });
    await clock.advance(5_000);
    expect(await report([])).toMatchObject({ wantedContexts: 5 });
    await clock.advance(60_000);
    expect(await report([])).toMatchObject({ wantedContexts: 50 });
    await set(false);
    expect(await report(users(1))).toMatchObject({ wantedContexts: 0 });
    expect(await kept()).toEqual([]);
  });

  it("brings contexts, without what is private to the environment or marked as such", async () => {
    await set(true, ["email"]);
    const attributes = { email: "a@b.c", ip: "::1", plan: "pro" };
    await report([{ targetingKey: "ann", attributes, privateAttributes: ["ip"] }, {}]);
    expect(await kept()).toEqual([{}, { plan: "pro", targetingKey: "ann" }]);
  });

  it("brings no more than 50 in an interval, all reports together", async () => {
    await report(users(60));
    await report(users(10, "other"));
    expect(await kept()).toHaveLength(50);
    await report(users(10, "later"));
    expect(await kept()).toHaveLength(60);
  });

  it("brings none that were collected before they were to be kept, or nobody knows when", async () => {
    const startTime = timestampFromMs(clock.now());
    await clock.advance(1_000);
    await set(false);
    await set(true);
    await report(users(1), { startTime });
    await report(users(1), { startTime: undefined });
    expect(await kept()).toEqual([]);
    await report(users(1));
    expect(await kept()).toHaveLength(1);
  });

  it("brings none twice where it is repeated", async () => {
    await report(users(1), { reportId: "same" });
    await report(users(2, "other"), { reportId: "same" });
    expect(await kept()).toEqual(users(1));
  });

  it("is refused with the field of a malformed context, and beyond the fiftieth nobody looks", async () => {
    const deep = (levels: number): object => (levels === 0 ? {} : { in: deep(levels - 1) });
    const malformed = { targetingKey: "ann", attributes: { deep: deep(32) } };
    const refused = { code: "InvalidArgument", reason: "INVALID_FIELDS" };
    expect(await refusalOf(report([{}, malformed]))).toMatchObject({
      ...refused,
      fields: ['contexts[1].attributes["deep"]'],
    });
    expect(await refusalOf(report([{ privateAttributes: [""] }]))).toMatchObject({
      ...refused,
      fields: ["contexts[0].private_attributes[0]"],
    });
    await report([...users(50), malformed]);
    expect(await kept()).toHaveLength(50);
  });
});

it("contexts that a mirror evaluates come to be kept, without what is private to it or to the environment", async () => {
  await set(true, ["email"]);
  const options = { address: server.address, clock, random: () => 0.5, privateAttributes: ["ip"] };
  const mirror = await openMirror(options);
  onTestFinished(() => mirror.close());
  const ask = () => mirror.boolean("a", false, { targetingKey: "ann", email: "a@b.c", ip: "::1", plan: "pro" });
  // The first report tells what the next may carry.
  const report = async () => {
    ask();
    await clock.advance(60_000);
    return kept();
  };
  await expect.poll(report, { timeout: 20_000 }).toEqual([{ plan: "pro", targetingKey: "ann" }]);
});
