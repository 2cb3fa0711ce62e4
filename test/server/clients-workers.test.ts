import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { isStoreProblem, openLmdbStore } from "../../src/store/index.js";
import { connectToEach, dataDirectory, PATIENCE, start } from "../cluster/service.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { booleanFlag, serve } from "./admin-support.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

it("a service with workers tells of all its clients; what all workers count, and contexts, outlast a restart", async () => {
  const path = await dataDirectory();
  const data = ["--data", path];
  const service = await start(build, 2, data);
  const connections = await connectToEach(service);
  const [first] = connections;
  await first?.admin.createFlag({
    flag: booleanFlag("a"),
    targeting: { enabled: true, default: serve("on") },
  });
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  await first?.admin.createEnvironment({ environment: { name: "staging", keepContexts: true } });
  for (const [number, { evaluation }] of connections.entries()) {
    await vi.waitFor(() => evaluation.evaluate({ flagKey: "a" }), PATIENCE);
    const context = { targetingKey: `user ${number}` };
    await vi.waitFor(() => evaluation.evaluate({ flagKey: "a", environment: "staging", context }), PATIENCE);
    const messages = evaluation.watch({ clientName: `web ${number}` }, { signal: ending.signal });
    const reading = messages[Symbol.asyncIterator]();
    await reading.next();
    reading.next().catch(() => undefined);
  }
  for (const { admin } of connections) {
    const { clients, totalCount } = await admin.listClients({});
    expect(clients.map(({ clientName }) => clientName)).toEqual(["web 0", "web 1"]);
    expect(totalCount).toBe(2);
  }
  for (const { close } of connections) close();
  service.child.kill("SIGTERM");
  await service.ended;
  expect(await keptIn(path)).toEqual(["user 0", "user 1"]);
  const next = await start(build, 1, data);
  const [connection] = await connectToEach(next);
  expect((await connection?.admin.listUsage({}))?.usages).toMatchObject([{ flagKey: "a", variant: "on", count: 2n }]);
}, 60_000);

/** The targeting keys of the contexts that a directory holds, sorted. */
async function keptIn(path: string): Promise<unknown[]> {
  const store = await openLmdbStore({ path });
  if (isStoreProblem(store)) throw new Error(store.message);
  const rows = store.side?.entries().filter(([key]) => /^contexts\/staging\/\d/.test(key)) ?? [];
  await store.close();
  return rows.map(([, text]) => JSON.parse(text)[2].targetingKey).sort();
}
