import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import { intercept } from "../../src/server/metrics/intercept.js";
import { openMemoryStore } from "../../src/store/index.js";
import { booleanFlag } from "./admin-support.js";

/** The revisions that were asked for, each with what lets it be seen by all. */
let asked: { readonly revision: bigint; readonly see: () => void }[];
let admin: ReturnType<typeof createClient<typeof AdminService>>;
const write = { flag: booleanFlag("a"), idempotencyKey: "k" };

/** A server on a store that other processes answer from as well. */
beforeEach(async () => {
  const store = await openMemoryStore();
  asked = [];
  const shared = intercept(store, "seenByAll", (revision) => {
    return new Promise((see) => asked.push({ revision, see }));
  });
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await openServer({ store: shared, listen, log: pino({ level: "silent" }) });
  if (server instanceof ListenProblem) throw new Error(server.message);
  onTestFinished(async () => {
    await server.stop(100);
    await store.close();
  });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.address.port}` });
  admin = createClient(AdminService, transport);
  await admin.createFlag(write); // 2
});

describe("a write that is not committed, since it is done already,", () => {
  it.each([
    ["as it changes nothing", () => admin.updateFlag({ flag: booleanFlag("a") })],
    ["under its idempotency key", () => admin.createFlag(write)],
  ])("%s, is answered when what it found is seen by all", async (_why, repeat) => {
    let isAnswered = false;
    const answer = repeat().finally(() => {
      isAnswered = true;
    });
    await expect.poll(() => asked.map(({ revision }) => revision)).toEqual([2n]);
    await admin.getFlag({ key: "a" });
    expect(isAnswered).toBe(false);
    asked[0]?.see();
    expect(await answer).toMatchObject({ revision: 2n });
  });

  it("as it is only tried, waits for nobody", async () => {
    expect(await admin.updateFlag({ flag: booleanFlag("a", { description: "b" }), dryRun: true })).toMatchObject({
      revision: 0n,
    });
    expect(asked).toEqual([]);
  });
});
