import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { canSpoilDisks, type DiskMode } from "./bad-disk.js";
import { connectTo } from "./connection.js";
import { until } from "./pause.js";
import { SHARED_FLAGS } from "./planned-write.js";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun, type Run } from "./run.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

const [flagKey = ""] = SHARED_FLAGS;

/** Of the data directory, as another process reads it. */
async function headOnDisk(run: Run): Promise<number> {
  const [node = "", ...flagwire] = programs.flagwire;
  const args = [...flagwire, "verify", "--json", "--data", run.server.command.data];
  const { stdout } = await promisify(execFile)(node, args);
  return Number((JSON.parse(stdout) as { readonly headRevision: string }).headRevision);
}

describe.skipIf(!canSpoilDisks())("a disk whose syncs are slow (needs Linux and cc)", () => {
  it("delays everything that is seen of a write", async () => {
    await using run = await openRun({ name: "slow disk", programs, onBadDisk: true });
    run.disk.become({ kind: "slow", delayMs: 40 });
    await run.mirror();
    run.load({ writers: 6, evaluators: 2 });
    await run.acknowledgedMore(150);
    run.disk.become({ kind: "pass" });
    const { violations } = await run.finish();
    expect(violations).toEqual([]);
    expect(run.disk.syncs.length).toBeGreaterThan(0);
  }, 120_000);

  it("shows a write to nobody as long as its sync has not ended", async () => {
    await using run = await openRun({ name: "held sync", programs, onBadDisk: true });
    const { recording, server } = run;
    const mirror = await run.mirror();
    run.load({ writers: 0, watchers: 2, evaluators: 0 });
    const before = recording.shown?.revision ?? 0;
    await until("all watch", () => run.watchers.every(({ revision }) => revision === before));
    const { admin, evaluation, drop } = connectTo(server.port);
    run.disk.become({ kind: "hold" });
    let isAnswered = false;
    const writing = admin.killFlags({ flagKeys: [flagKey], reason: "held", comment: "held" }).then(({ revision }) => {
      isAnswered = true;
      return Number(revision);
    });
    await until("the sync is held", () => run.disk.held > 0);
    for (let ask = 0; ask < 50; ask++) {
      const { revision, reason } = await evaluation.evaluate({ flagKey });
      expect({ revision: Number(revision), reason }).toEqual({ revision: before, reason: "STATIC" });
      expect(Number((await admin.listHistory({})).entries[0]?.revision)).toBe(before);
      expect(Number((await admin.getTargeting({ flagKey })).revision)).toBe(before);
    }
    // Another process waits with its reading: opening the directory in the middle of a write is not safe.
    let isRead = false;
    const reading = headOnDisk(run).finally(() => {
      isRead = true;
    });
    expect([mirror.revision, ...run.watchers.map(({ revision }) => revision)]).toEqual([before, before, before]);
    expect([isAnswered, isRead]).toEqual([false, false]);
    run.disk.become({ kind: "pass" });
    expect(await writing).toBe(before + 1);
    expect(await reading).toBe(before + 1);
    expect(await evaluation.evaluate({ flagKey })).toMatchObject({ revision: BigInt(before + 1), reason: "KILLED" });
    drop();
    expect((await run.finish()).violations).toEqual([]);
  }, 120_000);
});

/**
 * Not a write to the file that fails, although the library can do it: lmdb 3.5.6 then writes its message beyond what it
 * allocated, and may abort or hang. See docs/operating.md.
 */
const FAILURES: readonly DiskMode[] = [
  { kind: "fail-sync", code: "EIO", count: 0 },
  // The next sync would succeed, but the system may have dropped what the failed one was to write.
  { kind: "fail-sync", code: "EIO", count: 1 },
  { kind: "fail-sync", code: "ENOSPC", count: 0 },
];

/** What a server says of its health, until it ends. */
class HealthWatch {
  readonly statuses: HealthCheckResponse_ServingStatus[] = [];
  readonly ended: Promise<void>;

  constructor(port: number) {
    const client = createClient(Health, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
    this.ended = this.#follow(client.watch({})).catch(() => undefined);
  }

  async #follow(answers: AsyncIterable<HealthCheckResponse>): Promise<void> {
    for await (const { status } of answers) this.statuses.push(status);
  }
}

describe.skipIf(!canSpoilDisks())("a disk that fails (needs Linux and cc)", () => {
  it.concurrent.each(FAILURES)(
    "ends the server at once, and loses nothing that it acknowledged: %o",
    async (failure) => {
      await using run = await openRun({ name: JSON.stringify(failure), programs, onBadDisk: true });
      const { recording, server } = run;
      const mirror = await run.mirror();
      run.load({ writers: 4 });
      await run.acknowledgedMore(run.chance.between(20, 80));
      const health = new HealthWatch(server.port);
      await until("its health is known", () => health.statuses.length > 0);
      run.disk.become(failure);
      const exit = await server.ended();
      expect(server.errors).toContain("store has failed");
      expect(exit).toBe(3);
      await health.ended;
      const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
      // Cut short where it aborts.
      expect(health.statuses).toEqual(exit === 3 ? [SERVING, NOT_SERVING] : expect.arrayContaining([SERVING]));
      run.disk.become({ kind: "pass" });
      const outcomes = recording.writes.flatMap(({ attempts }) => attempts.map(({ outcome }) => outcome));
      // In the server's own words, which promise nothing.
      expect(outcomes).toContainEqual({ kind: "unknown", reason: expect.stringContaining("is not known") });
      await run.verify();
      await server.start();
      await run.acknowledgedMore(20);
      expect((await run.finish()).violations).toEqual([]);
      expect(mirror.counts.fulls).toBe(1);
    },
    120_000,
  );
});
