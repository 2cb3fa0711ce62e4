import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { isStoreProblem, verifyStore } from "../../src/store/index.js";
import { booleanFlag, serve } from "../server/admin-support.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { wholeHistory } from "../support/whole-history.js";
import {
  childrenOf,
  connectionsOf,
  connectTo,
  connectToEach,
  dataDirectory,
  groupOf,
  isAlive,
  launch,
  PATIENCE,
  type Service,
  start,
  Watcher,
} from "./service.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

const isLinux = process.platform === "linux";

/** Opens streams one after the other. */
async function watch(service: Service, count: number): Promise<Watcher[]> {
  const watchers: Watcher[] = [];
  while (watchers.length < count) watchers.push(await Watcher.open(service.address));
  return watchers;
}

function loads(service: Service): Promise<number[]> {
  return connectionsOf(service.address, service.workers().values());
}

describe("a service with workers", () => {
  it("shows a write through any of them on all of them, in answers and in streams", async () => {
    const service = await start(build, 3);
    const connections = await connectToEach(service);
    if (isLinux) expect(await loads(service)).toEqual([1, 1, 1]);
    const watchers = await watch(service, 6);
    for (const [number, { admin }] of connections.entries()) {
      const key = `flag-${number}`;
      const targeting = { enabled: true, default: serve("on") };
      const { revision } = await admin.createFlag({ flag: booleanFlag(key), targeting });
      for (const { evaluation } of connections) {
        await vi.waitFor(async () => {
          const answer = await evaluation.evaluate({ flagKey: key });
          expect(answer).toMatchObject({ reason: "STATIC", revision });
        }, PATIENCE);
      }
      await vi.waitFor(() => {
        expect(watchers.map((watcher) => watcher.revision)).toEqual(watchers.map(() => revision));
      }, PATIENCE);
    }
  }, 60_000);

  it("lets writers on different workers edit the same flag without losing an edit", async () => {
    const service = await start(build, 3);
    const connections = await connectToEach(service);
    const [first] = connections;
    await first?.admin.createFlag({ flag: booleanFlag("shared") });
    const revisions = await Promise.all(
      connections.flatMap(({ admin }, writer) =>
        Array.from({ length: 20 }, async (_, turn) => {
          const flag = booleanFlag("shared", { description: `${writer}-${turn}` });
          return (await admin.updateFlag({ flag })).revision;
        }),
      ),
    );
    expect([...revisions].sort((a, b) => Number(a - b))).toEqual(revisions.map((_, index) => BigInt(index + 3)));
  }, 60_000);

  it("makes a write once that is repeated on another worker", async () => {
    const service = await start(build, 3);
    const connections = await connectToEach(service);
    const write = { flag: booleanFlag("once"), idempotencyKey: "the-same" };
    const answers = await Promise.all(connections.map(({ admin }) => admin.createFlag(write)));
    expect(answers.map(({ revision }) => revision)).toEqual([2n, 2n, 2n]);
    const other = connections[1]?.admin.createFlag({ ...write, flag: booleanFlag("another") });
    const error = await other?.catch((thrown: unknown) => ConnectError.from(thrown));
    expect(error instanceof ConnectError && error.findDetails(ErrorInfoSchema)[0]?.reason).toBe(
      "IDEMPOTENCY_KEY_REUSED",
    );
  }, 60_000);

  it("adds up what mirrors report to any of them", async () => {
    const service = await start(build, 3);
    const connections = await connectToEach(service);
    await connections[0]?.admin.createFlag({ flag: booleanFlag("counted") });
    const counts = [{ flagKey: "counted", variant: "on", revision: 2n, count: 5n }];
    for (const [number, { evaluation }] of connections.entries()) {
      // A mirror repeats a report whose answer it did not get, wherever it then is.
      for (const reportId of [`report-${number}`, "the-same"]) await evaluation.reportUsage({ reportId, counts });
    }
    for (const { admin } of connections) {
      expect((await admin.listUsage({})).usages).toMatchObject([{ flagKey: "counted", variant: "on", count: 20n }]);
    }
  }, 60_000);

  it("imports its first flags once, and is ready on every worker when it says so", async () => {
    const data = await dataDirectory();
    const path = join(data, "flags.yaml");
    await writeFile(path, "flags: [{key: seeded, type: boolean, kind: operational, variants: {on: true, off: false}}]");
    const service = await start(build, 3, ["--import", path, "--data", join(data, "data")]);
    expect(service.document).toMatchObject({ flags: 1, revision: "2", workers: 3 });
    for (const { admin } of await connectToEach(service)) {
      expect((await admin.getFlag({ key: "seeded" })).flag?.key).toBe("seeded");
      expect((await fetch(`http://${service.address}/readyz`)).status).toBe(200);
    }
    const report = await verifyStore(join(data, "data"));
    expect(report).toMatchObject({ headRevision: 2n, problems: [] });
  }, 60_000);
});

describe("a service with as many workers as there are cores", () => {
  it("says how many, and a worker's log says which", async () => {
    const service = await start(build, "auto");
    expect(service.document.workers).toBe(Math.min(availableParallelism(), 64));
    if (service.document.workers > 1) expect([...service.workers().keys()].sort()[0]).toBe(1);
  }, 60_000);
});

describe.skipIf(!isLinux)("streams", () => {
  it("that are opened one after the other are spread evenly", async () => {
    const service = await start(build, 3);
    await watch(service, 60);
    const counts = await loads(service);
    expect(counts.reduce((sum, count) => sum + count)).toBe(60);
    expect(Math.max(...counts)).toBeLessThanOrEqual(21);
  }, 60_000);

  it("are spread evenly again after a worker was replaced", async () => {
    const service = await start(build, 3);
    const watchers = await watch(service, 120);
    process.kill(service.workers().get(2) ?? 0, "SIGKILL");
    await vi.waitFor(
      () => expect(watchers.every(({ streams, isOpen }) => isOpen && streams >= 1)).toBe(true),
      PATIENCE,
    );
    await vi.waitFor(
      async () => {
        const counts = await loads(service);
        expect(counts.reduce((sum, count) => sum + count)).toBe(120);
        expect(Math.max(...counts)).toBeLessThanOrEqual(48);
      },
      { timeout: 60_000, interval: 50 },
    );
  }, 120_000);
});

interface Attempt {
  readonly name: string;
  readonly key: string;
  revision: bigint | undefined;
}

/** Writes, one after the other, and comes back on a new connection after an error, until it is told to end. */
async function writeThrough(service: Service, writer: number, attempts: Attempt[], signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; ) {
    const connection = connectTo(service.address);
    try {
      while (!signal.aborted) {
        const attempt: Attempt = { name: `${writer}-${turn}`, key: `flag-${writer}-${turn}`, revision: undefined };
        turn++;
        attempts.push(attempt);
        const { revision } = await connection.admin.createFlag({
          flag: booleanFlag(attempt.key),
          comment: attempt.name,
          idempotencyKey: attempt.name,
        });
        attempt.revision = revision;
      }
    } catch {
      // Its worker was killed, and what became of this write is not known.
    } finally {
      connection.close();
    }
  }
}

describe("a worker that is killed while clients write", () => {
  it("is replaced; no acknowledged write is lost and no revision is used twice", async () => {
    const data = await dataDirectory();
    const service = await start(build, 3, ["--data", data]);
    const watchers = await watch(service, 9);
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const attempts: Attempt[] = [];
    const acknowledged = () => attempts.filter(({ revision }) => revision !== undefined);
    const writing = Array.from({ length: 6 }, (_, writer) => writeThrough(service, writer, attempts, stop.signal));
    for (let round = 0; round < 4; round++) {
      const before = acknowledged().length;
      await vi.waitFor(() => expect(acknowledged().length).toBeGreaterThan(before + 60), PATIENCE);
      const number = (round % 3) + 1;
      const pid = service.workers().get(number) ?? 0;
      process.kill(pid, "SIGKILL");
      await vi.waitFor(() => expect(service.workers().get(number)).not.toBe(pid), PATIENCE);
    }
    stop.abort();
    await Promise.all(writing);
    const connections = await connectToEach(service);
    const [connection] = connections;
    if (connection === undefined) throw new Error("no worker serves");
    const entries = await wholeHistory(connection.admin);
    expect(entries.map(({ revision }) => revision)).toEqual(entries.map((_, index) => BigInt(index + 1)));
    const comments = new Map(entries.map(({ revision, comment }) => [revision, comment]));
    for (const { name, revision } of acknowledged()) expect(comments.get(revision ?? 0n)).toBe(name);
    const head = BigInt(entries.length);
    // Those whose answer was lost are found, or made now, once.
    for (const attempt of attempts.filter(({ revision }) => revision === undefined)) {
      const made = entries.filter(({ comment }) => comment === attempt.name).map(({ revision }) => revision);
      const { name: comment, name: idempotencyKey } = attempt;
      const { revision } = await connection.admin.createFlag({
        flag: booleanFlag(attempt.key),
        comment,
        idempotencyKey,
      });
      expect(made.length === 0 ? revision > head : made[0] === revision && made.length === 1).toBe(true);
    }
    const { revision } = await connection.admin.createFlag({ flag: booleanFlag("last") });
    await vi.waitFor(() => {
      expect(watchers.map((watcher) => watcher.revision)).toEqual(watchers.map(() => revision));
    }, PATIENCE);
    for (const { evaluation } of connections) {
      await vi.waitFor(async () => {
        expect((await evaluation.evaluate({ flagKey: "last" })).revision).toBe(revision);
      }, PATIENCE);
    }
    const report = await verifyStore(data);
    expect(isStoreProblem(report) ? report.message : report.problems).toEqual([]);
  }, 120_000);
});

describe("the end of a service with workers", () => {
  it("comes within 10 s of SIGTERM, hung workers or not, and leaves no process", async () => {
    const service = await start(build, 3);
    const watchers = await watch(service, 6);
    const pids = [...service.workers().values()];
    process.kill(pids[0] ?? 0, "SIGSTOP");
    const startedMs = performance.now();
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(watchers.map(({ streams }) => streams)).toEqual(watchers.map(() => 1));
  }, 60_000);

  it("is not brought about by the signals that a terminal sends to its workers", async () => {
    const service = await start(build, 2);
    const pids = [...service.workers().values()];
    for (const pid of pids) for (const signal of ["SIGINT", "SIGTERM"] as const) process.kill(pid, signal);
    for (const { admin } of await connectToEach(service)) await admin.listEnvironments({});
    expect([...service.workers().values()]).toEqual(pids);
    service.child.kill("SIGINT");
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(pids.filter(isAlive)).toEqual([]);
  }, 60_000);

  it.skipIf(!isLinux)(
    "comes in order at Ctrl-C while its workers load",
    async () => {
      const argv = ["--workers", "2", "--listen", "127.0.0.1:0", "--data", await dataDirectory()];
      // A terminal signals the whole group, so that must not be the test's own.
      const starting = launch(build, argv, ["setsid"]);
      const { pid = 0 } = starting.child;
      // A child is born into its parent's group, and leaves it a moment later, before it runs anything of ours.
      const groups = async () => Promise.all((await childrenOf(pid)).map(groupOf));
      const own = expect.toSatisfy((group: number) => group !== pid);
      await vi.waitFor(async () => expect(await groups()).toEqual([own, own]), { ...PATIENCE, interval: 1 });
      process.kill(-pid, "SIGINT");
      expect(await starting.ended, starting.stderr()).toEqual({ code: 0, signal: null });
      expect(starting.stderr()).not.toContain("a worker has ended");
    },
    60_000,
  );

  it("is the end of its workers too where the supervisor is killed, and the next start works at once", async () => {
    const data = await dataDirectory();
    const service = await start(build, 3, ["--data", data]);
    const pids = [...service.workers().values()];
    const { admin } = connectTo(service.address);
    const { revision } = await admin.createFlag({ flag: booleanFlag("kept") });
    service.child.kill("SIGKILL");
    const next = await start(build, 2, ["--data", data, "--listen", service.address]);
    expect(next.document).toMatchObject({ flags: 1, revision: String(revision) });
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), PATIENCE);
  }, 60_000);

  it.skipIf(process.platform === "win32")(
    "comes with a clear reason and exit code 3 when a write fails",
    async () => {
      const data = await dataDirectory();
      // A limit on the size of files, in blocks of 512 bytes: LMDB's writes beyond it fail.
      const limited = ["/bin/sh", "-c", `ulimit -f 2000; exec "$0" "$@"`];
      const argv = ["--workers", "3", "--listen", "127.0.0.1:0", "--data", data];
      const starting = launch(build, argv, limited);
      await vi.waitFor(() => expect(starting.stdout(), starting.stderr()).toContain("\n"), PATIENCE);
      const { address } = JSON.parse(starting.stdout());
      const pids = [...starting.workers().values()];
      const { admin } = connectTo(address);
      let acknowledged = 0n;
      const writing = (async () => {
        for (let turn = 0; ; turn++) {
          const flag = booleanFlag(`flag-${turn}`, { description: "x".repeat(2_000) });
          acknowledged = (await admin.createFlag({ flag })).revision;
        }
      })();
      await expect(writing).rejects.toThrow();
      expect(await starting.ended).toEqual({ code: 3, signal: null });
      expect(starting.stderr()).toContain("the store has failed, so the service ends");
      expect(pids.filter(isAlive)).toEqual([]);
      expect(await verifyStore(data)).toMatchObject({ headRevision: acknowledged, problems: [] });
    },
    60_000,
  );
});

describe("a service with workers that cannot start", () => {
  it("says that the port or the directory is in use", async () => {
    const data = await dataDirectory();
    const service = await start(build, 2, ["--data", data]);
    const samePort = launch(build, ["--workers", "2", "--listen", service.address, "--data", await dataDirectory()]);
    expect(await samePort.ended).toEqual({ code: 3, signal: null });
    expect(samePort.stderr()).toContain(`${service.address} is in use`);
    const sameData = launch(build, ["--workers", "2", "--listen", "127.0.0.1:0", "--data", data]);
    expect(await sameData.ended).toEqual({ code: 3, signal: null });
    expect(sameData.stderr()).toMatch(new RegExp(`in use by process ${service.child.pid}\\b`));
  }, 60_000);

  it("says what is wrong with its first flags, and leaves no worker", async () => {
    const data = await dataDirectory();
    const path = join(data, "flags.yaml");
    await writeFile(path, "flags: [{key: seeded, type: boolean, variants: {on: true}}]");
    const argv = ["--workers", "2", "--listen", "127.0.0.1:0", "--data", join(data, "data"), "--import", path];
    const starting = launch(build, argv);
    expect(await starting.ended).toEqual({ code: 3, signal: null });
    expect(starting.stderr()).toContain("kind");
  }, 60_000);
});
