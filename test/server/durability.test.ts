import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type Child, startChild } from "../store/child-process.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { wholeHistory } from "../support/whole-history.js";
import { booleanFlag, serve } from "./admin-support.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("test/server/children/serve.ts");
}, 60_000);
afterAll(() => build.remove());

type Admin = Client<typeof AdminService>;

/** A server in a process of its own. */
interface ServerProcess {
  readonly child: Child;
  readonly admin: Admin;
  readonly evaluation: Client<typeof EvaluationService>;
}

async function startServer(path: string): Promise<ServerProcess> {
  const child = startChild(process.execPath, [build.compiled("test/server/children/serve.ts"), path]);
  await vi.waitFor(() => expect(child.lines[0]).toHaveProperty("port"), { timeout: 60_000, interval: 5 });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${child.lines[0]?.port}` });
  return {
    child,
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
  };
}

async function kill({ child }: ServerProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.ended;
}

async function dataDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-durability-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A write, by the name that it leaves in history. */
interface Attempt {
  readonly name: string;
  readonly make: (admin: Admin) => Promise<{ readonly revision: bigint }>;
  outcome: "unknown" | "refused" | { readonly revision: bigint };
}

/** What a client does at its n-th turn; some of it cannot succeed. */
function planAttempt(client: string, turn: number, random: () => number): Attempt {
  const name = `${client}-${turn}`;
  const write = { comment: name, idempotencyKey: name };
  const key = `flag-${client}`;
  const shared = "shared";
  const kinds: Attempt["make"][] = [
    (admin) => admin.createFlag({ ...write, flag: booleanFlag(name) }),
    (admin) => admin.updateFlag({ ...write, flag: booleanFlag(shared, { description: name }) }),
    (admin) => admin.updateFlag({ ...write, flag: booleanFlag(shared, { description: name }), expectedRevision: 2n }),
    (admin) =>
      admin.updateTargeting({
        ...write,
        targeting: { flagKey: key, enabled: true, targets: [{ variant: "on", targetingKeys: [name] }] },
      }),
    (admin) => admin.updateTargeting({ ...write, targeting: { flagKey: key, default: serve("none") } }),
    (admin) => admin.import(imported({ ...write, file: { segments: [{ key, included: [name] }] } })),
  ];
  const make = kinds[turn === 0 ? 0 : Math.floor(random() * kinds.length)];
  if (make === undefined) throw new Error("there is no such kind of write");
  return { name, make, outcome: "unknown" };
}

async function* imported<T>(request: T): AsyncGenerator<T> {
  yield request;
}

/** Writes, one after the other, until the server is gone. */
async function writeUntilGone(admin: Admin, client: string, attempts: Attempt[], random: () => number): Promise<void> {
  for (let turn = 0; ; turn++) {
    const attempt = planAttempt(client, turn, random);
    attempts.push(attempt);
    try {
      const { revision } = await attempt.make(admin);
      attempt.outcome = { revision };
    } catch (thrown) {
      if (!isRefused(thrown)) return;
      attempt.outcome = "refused";
    }
  }
}

/** Whether the server said no. A connection that breaks gives errors too, some of them with a server's codes. */
function isRefused(thrown: unknown): boolean {
  const [info] = ConnectError.from(thrown).findDetails(ErrorInfoSchema);
  return info?.reason === "REVISION_CONFLICT" || info?.reason === "INVALID_FIELDS";
}

const acknowledged = (attempts: readonly Attempt[]) =>
  attempts.filter(
    (attempt): attempt is Attempt & { outcome: { revision: bigint } } => typeof attempt.outcome === "object",
  );

/** What the whole history, applied in order, leaves of flags and their settings. */
function replay(entries: readonly HistoryEntry[]): unknown {
  const flags = new Map<string, unknown>();
  const targetings = new Map<string, unknown>();
  for (const { after } of entries.flatMap(({ changes }) => changes)) {
    if (after?.kind.case === "flag") flags.set(after.kind.value.key, after.kind.value);
    if (after?.kind.case === "targeting") targetings.set(after.kind.value.flagKey, after.kind.value);
  }
  const keys = [...flags.keys()].sort();
  return { flags: keys.map((key) => flags.get(key)), targetings: keys.map((key) => targetings.get(key)) };
}

/** Everything that the server has now, page by page. */
async function currentState(admin: Admin): Promise<unknown> {
  const state: { flags: unknown[]; targetings: unknown[] } = { flags: [], targetings: [] };
  let pageToken = "";
  do {
    const page = await admin.listFlags({ pageSize: 1_000, pageToken });
    state.flags.push(...page.flags);
    state.targetings.push(...page.targetings);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return state;
}

async function checkSurvivors({ admin }: ServerProcess, attempts: readonly Attempt[]): Promise<void> {
  const entries = await wholeHistory(admin);
  expect(entries.map(({ revision }) => revision)).toEqual(entries.map((_, index) => BigInt(index + 1)));
  const names = new Map(entries.map(({ revision, comment }) => [revision, comment]));
  for (const { name, outcome } of acknowledged(attempts)) expect(names.get(outcome.revision)).toBe(name);
  const refused = new Set(attempts.filter(({ outcome }) => outcome === "refused").map(({ name }) => name));
  expect(entries.filter(({ comment }) => refused.has(comment))).toEqual([]);
  const known = new Set(attempts.map(({ name }) => name));
  expect(entries.slice(2).filter(({ comment }) => !known.has(comment))).toEqual([]);
  expect(await currentState(admin)).toEqual(replay(entries));
}

/** A client that does not know what became of its write makes it again, and learns the one revision that it made. */
async function resolveUnknown({ admin }: ServerProcess, attempts: readonly Attempt[]): Promise<void> {
  for (const attempt of attempts.filter(({ outcome }) => outcome === "unknown")) {
    const made = (await wholeHistory(admin)).filter(({ comment }) => comment === attempt.name);
    try {
      attempt.outcome = await attempt.make(admin);
    } catch (thrown) {
      expect(made).toEqual([]);
      expect(isRefused(thrown)).toBe(true);
      attempt.outcome = "refused";
      continue;
    }
    if (made.length > 0) expect(made.map(({ revision }) => revision)).toEqual([attempt.outcome.revision]);
  }
}

describe("a server killed while clients write", () => {
  it("comes back with every acknowledged write and without any that was refused, round after round", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`durability: seed ${seed}`);
    const random = mulberry32(seed);
    const path = await dataDirectory();
    const attempts: Attempt[] = [];
    let server = await startServer(path);
    await server.admin.createFlag({ flag: booleanFlag("shared") });
    for (let round = 0; round < 5; round++) {
      const clients = Array.from({ length: 2 + Math.floor(random() * 8) }, (_, n) => `r${round}c${n}`);
      for (const client of clients) {
        const name = `flag-${client}`;
        const create: Attempt = {
          name,
          make: (admin) => admin.createFlag({ flag: booleanFlag(name), comment: name, idempotencyKey: name }),
          outcome: "unknown",
        };
        create.outcome = await create.make(server.admin);
        attempts.push(create);
      }
      const { admin } = server;
      const before = acknowledged(attempts).length;
      const writing = clients.map((client) => writeUntilGone(admin, client, attempts, random));
      const wanted = before + Math.floor(random() * 150);
      await vi.waitFor(() => expect(acknowledged(attempts).length).toBeGreaterThanOrEqual(wanted), {
        timeout: 10_000,
        interval: 1 + Math.floor(random() * 10),
      });
      await kill(server);
      await Promise.all(writing);
      server = await startServer(path);
      await checkSurvivors(server, attempts);
      await resolveUnknown(server, attempts);
      await checkSurvivors(server, attempts);
    }
    expect(attempts.some(({ outcome }) => outcome === "refused")).toBe(true);
    await kill(server);
  }, 60_000);

  it("is not seen to have anything that it then loses", async () => {
    const path = await dataDirectory();
    let server = await startServer(path);
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("off") } });
    for (let round = 0; round < 3; round++) {
      const { admin, evaluation } = server;
      let seen = 0n;
      const reading = (async () => {
        for (;;) seen = (await evaluation.evaluate({ flagKey: "a" })).revision;
      })().catch(() => undefined);
      const writing = (async () => {
        for (;;) {
          const targets = [{ variant: "on", targetingKeys: [randomUUID()] }];
          await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, targets } });
        }
      })().catch(() => undefined);
      const start = seen;
      await vi.waitFor(() => expect(seen).toBeGreaterThan(start + 20n), { timeout: 10_000, interval: 3 });
      await kill(server);
      await Promise.all([reading, writing]);
      server = await startServer(path);
      const { revision } = await server.evaluation.evaluate({ flagKey: "a" });
      expect(revision).toBeGreaterThanOrEqual(seen);
    }
    await kill(server);
  }, 60_000);
});

describe("a data directory that another server uses", () => {
  it("is refused with a clear problem, and is free again once that one was killed", async () => {
    const path = await dataDirectory();
    const first = await startServer(path);
    const second = startChild(process.execPath, [build.compiled("test/server/children/serve.ts"), path]);
    await second.ended;
    expect(second.lines).toHaveLength(1);
    expect(second.lines[0]).toMatchObject({ problem: "in-use" });
    expect(second.lines[0]?.message).toMatch(/in use by process \d+/);
    await first.admin.createFlag({ flag: booleanFlag("a") });
    await kill(first);
    const third = await startServer(path);
    expect((await third.admin.getFlag({ key: "a" })).flag?.key).toBe("a");
    await kill(third);
  }, 30_000);
});

/** A small seeded generator (mulberry32), so that a failing round can be run again. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
