import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore, type Store } from "../../src/store/index.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";
import { booleanFlag, refusalOf, refused } from "./admin-support.js";

let clock: VirtualClock;
let hear: () => void;
let owner: Awaited<ReturnType<typeof serve>>;
let lagging: Awaited<ReturnType<typeof serve>>;

/** Two servers on one store, the second of which does not own it and hears nothing before `hear`. */
beforeEach(async () => {
  clock = new VirtualClock();
  const store = await openMemoryStore();
  onTestFinished(() => store.close());
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  owner = await serve(store);
  lagging = await serve(thatFollows(store, heard));
  await owner.admin.createFlag({ flag: booleanFlag("a") }); // 2
});

async function serve(store: Store) {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await openServer({ store, clock, listen, log: pino({ level: "silent" }) });
  if (server instanceof ListenProblem) throw new Error(server.message);
  onTestFinished(async () => {
    hear();
    await server.stop(100);
  });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.address.port}` });
  return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
}

function thatFollows(store: Store, heard: Promise<void>): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "side") return undefined;
      if (name === "tail") {
        return async function* (...parameters: Parameters<Store["tail"]>) {
          await heard;
          yield* target.tail(...parameters);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

it("a worker that has not heard of a revision yet, which another one has made, answers when it has", async () => {
  const { admin, evaluation } = lagging;
  const timers = clock.pendingTimers;
  const answers = Promise.all([
    admin.getHistoryEntry({ revision: 2n }),
    evaluation.evaluate({ flagKey: "a", atRevision: 2n }),
    admin.rollback({ toRevision: 2n, dryRun: true }),
    admin.killFlags({ flagKeys: ["a"], reason: "r", expectedRevision: 2n }),
  ]);
  await expect.poll(() => clock.pendingTimers).toBeGreaterThanOrEqual(timers + 4);
  hear();
  expect((await answers).map(({ revision }) => revision)).toEqual([2n, 2n, 0n, 3n]);
});

it("a worker does not wait for ever for a revision that never was", async () => {
  hear();
  const refusal = refusalOf(lagging.admin.getHistoryEntry({ revision: 9n }));
  const isAnswered = refusal.then(() => true);
  for (let isDone = false; !isDone; ) {
    await clock.advance(1_000);
    isDone = await Promise.race([isAnswered, settle().then(() => false)]);
  }
  expect(await refusal).toMatchObject(refused("NotFound", "REVISION_NOT_FOUND", "revision"));
  expect(await refusalOf(owner.admin.getHistoryEntry({ revision: 9n }))).toMatchObject({
    reason: "REVISION_NOT_FOUND",
  });
});
