import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { connectToEach, dataDirectory, PATIENCE, start } from "../cluster/service.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { booleanFlag, serve } from "./admin-support.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

it("a service with workers tells of all its clients, and counts what all workers answer over restarts", async () => {
  const data = ["--data", await dataDirectory()];
  const service = await start(build, 2, data);
  const connections = await connectToEach(service);
  const [first] = connections;
  await first?.admin.createFlag({
    flag: booleanFlag("a"),
    targeting: { enabled: true, default: serve("on") },
  });
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  for (const [number, { evaluation }] of connections.entries()) {
    await vi.waitFor(() => evaluation.evaluate({ flagKey: "a" }), PATIENCE);
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
  const next = await start(build, 1, data);
  const [connection] = await connectToEach(next);
  expect((await connection?.admin.listUsage({}))?.usages).toMatchObject([{ flagKey: "a", variant: "on", count: 2n }]);
}, 60_000);
