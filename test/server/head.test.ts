import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type HistoryEntry, HistoryEntrySchema, type Record } from "../../gen/flagwire/v1/history_pb.js";
import { UpdateKind, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { ListenProblem, openServer, type ServerOptions } from "../../src/server/index.js";
import { readPast } from "../../src/server/state/prime.js";
import { type CommitResult, openMemoryStore, type Store, type Transaction } from "../../src/store/index.js";

/** A store whose tail breaks at a revision, as one does that cannot be read. */
function breakingAt(store: Store, revision: bigint): Store {
  return new Proxy(store, {
    get(target, property) {
      if (property === "tail") {
        return async function* (from: bigint, signal: AbortSignal) {
          for await (const entry of target.tail(from, signal)) {
            if (entry.revision >= revision) throw new Error("the disk cannot be read");
            yield entry;
          }
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A store as a process sees it that hears of nothing while `until` is pending. */
function hearingLate(store: Store, until: () => Promise<void>): Store {
  return new Proxy(store, {
    get(target, property) {
      if (property === "tail") {
        return async function* (from: bigint, signal: AbortSignal) {
          for await (const entry of target.tail(from, signal)) {
            await until();
            yield entry;
          }
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function open(store: Store, prepare?: ServerOptions["prepare"]) {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await openServer({ store, listen, log: pino({ level: "silent" }), ...(prepare && { prepare }) });
  if (server instanceof ListenProblem) throw new Error(server.message);
  const baseUrl = `http://127.0.0.1:${server.address.port}`;
  const transport = createGrpcTransport({ baseUrl });
  const [admin, evaluation] = [createClient(AdminService, transport), createClient(EvaluationService, transport)];
  return { server, baseUrl, admin, evaluation };
}

const flag = {
  key: "a",
  type: FlagType.BOOLEAN,
  kind: FlagKind.OPERATIONAL,
  variants: { on: { kind: { case: "boolValue" as const, value: true } } },
};

it("a server that cannot follow its store refuses writes, reports that it does not serve, and says so", async () => {
  const store = await openMemoryStore({});
  const { server, baseUrl, admin } = await open(breakingAt(store, 2n));
  try {
    const write = admin.createFlag({ flag });
    await expect(write).rejects.toThrow(/\[unavailable\].*not known/);
    await expect(admin.createFlag({ flag: { ...flag, key: "b" } })).rejects.toThrow(/\[unavailable\]/);
    expect(await server.failed).toMatchObject({ message: expect.stringContaining("the disk cannot be read") });
    expect((await fetch(`${baseUrl}/readyz`)).status).toBe(503);
    expect((await fetch(`${baseUrl}/healthz`)).status).toBe(200);
  } finally {
    await server.stop(100);
    await store.close();
  }
});

it("a server that history has moved past takes the store's state, and sends it whole", async () => {
  const store = await openMemoryStore({ history: { maxEntries: 3 }, window: { maxEntries: 3 } });
  let hearing = Promise.resolve();
  let letHear: () => void = () => undefined;
  const ahead = await open(store);
  const behind = await open(hearingLate(store, () => hearing));
  const stop = new AbortController();
  const messages: WatchResponse[] = [];
  const watching = (async () => {
    for await (const message of behind.evaluation.watch({}, { signal: stop.signal })) messages.push(message);
  })().catch(() => undefined);
  const kinds = () => messages.flatMap(({ begin }) => begin?.kind ?? []);
  const commits = () => messages.flatMap(({ commit }) => commit?.position?.revision ?? []);
  try {
    await ahead.admin.createEnvironment({ environment: { name: "short-lived" } });
    const { revision: before } = await ahead.admin.createFlag({ flag });
    await vi.waitFor(() => expect(commits().at(-1)).toBe(before));
    hearing = new Promise((resolve) => {
      letHear = resolve;
    });
    await ahead.admin.deleteEnvironment({ name: "short-lived" });
    for (const key of ["b", "c", "d", "e"]) await ahead.admin.createFlag({ flag: { ...flag, key } });
    const { flag: described } = await ahead.admin.updateFlag({ flag: { ...flag, description: "late" } });
    const written = behind.admin.createFlag({ flag: { ...flag, key: "f" } });
    letHear();
    expect((await written).revision).toBe(before + 7n);
    await vi.waitFor(() => expect(commits().at(-1)).toBe(before + 7n));
    expect(kinds().slice(1)).toContain(UpdateKind.FULL);
    expect((await behind.admin.getFlag({ key: "a" })).flag?.description).toBe(described?.description);
    await expect(behind.evaluation.evaluate({ flagKey: "a", environment: "short-lived" })).rejects.toThrow(
      /\[not_found\]/,
    );
    const { revision: after } = await ahead.admin.createFlag({ flag: { ...flag, key: "g" } });
    await vi.waitFor(() => expect(commits().at(-1)).toBe(after));
    expect(kinds().at(-1)).toBe(UpdateKind.DELTA);
  } finally {
    letHear();
    stop.abort();
    await watching;
    await ahead.server.stop(100);
    await behind.server.stop(100);
    await store.close();
  }
});

it("a server that fails while it is made ready never reports that it serves", async () => {
  const store = await openMemoryStore({});
  const { server, baseUrl } = await open(breakingAt(store, 2n), async ({ address: { port } }) => {
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
    await expect(createClient(AdminService, transport).createFlag({ flag })).rejects.toThrow(/\[unavailable\]/);
  });
  try {
    expect((await fetch(`${baseUrl}/readyz`)).status).toBe(503);
  } finally {
    await server.stop(100);
    await store.close();
  }
});

it("a first start that cannot write its first environment fails", async () => {
  const store = await openMemoryStore({});
  const full: CommitResult = { kind: "low-disk", freeBytes: 1, neededBytes: 2 };
  const fullStore: Store = Object.assign(Object.create(store) as Store, {
    commit: async (_transaction: Transaction) => full,
    load: () => store.load(),
    history: () => store.history(),
    tail: (from: bigint, signal: AbortSignal) => store.tail(from, signal),
  });
  await expect(open(fullStore)).rejects.toThrow(/production cannot be created/);
  await store.close();
});

function entry(revision: bigint, changes: { before?: Record["kind"]; after?: Record["kind"] }[]): HistoryEntry {
  return create(HistoryEntrySchema, {
    revision,
    changes: changes.map(({ before, after }) => ({
      ...(before && { before: { kind: before } }),
      ...(after && { after: { kind: after } }),
    })),
  });
}

const flagRecord = (key: string) => ({ case: "flag", value: { key } }) as Record["kind"];
const targetingRecord = (environment: string, flagKey: string) =>
  ({ case: "targeting", value: { environment, flagKey } }) as Record["kind"];
const environmentRecord = (name: string) => ({ case: "environment", value: { name } }) as Record["kind"];

async function* newestFirst(...entries: HistoryEntry[]) {
  for (const each of entries.sort((a, b) => Number(b.revision - a.revision))) yield each;
}

it("the past of an environment is what touched it, oldest first, and ends where history does", async () => {
  const past = await readPast(
    newestFirst(
      entry(4n, [{ after: flagRecord("a") }]),
      entry(5n, [{ after: targetingRecord("staging", "b") }]),
      entry(6n, [{ before: targetingRecord("production", "c") }]),
      entry(7n, [{ after: flagRecord("later") }]),
    ),
    6n,
    ["production", "staging"],
  );
  const production = past.get("production");
  expect(production?.floor).toBe(3n);
  expect(production?.changes.map(({ revision }) => revision)).toEqual([4n, 6n]);
  expect(past.get("staging")?.changes.map(({ revision }) => revision)).toEqual([4n, 5n]);
});

it("the past of an environment does not reach behind its creation", async () => {
  const past = await readPast(
    newestFirst(
      entry(2n, [{ after: targetingRecord("staging", "old") }]),
      entry(3n, [{ after: environmentRecord("staging") }, { after: targetingRecord("staging", "a") }]),
      entry(4n, [{ after: targetingRecord("staging", "b") }]),
    ),
    4n,
    ["staging"],
  );
  expect(past.get("staging")).toMatchObject({ floor: 3n, changes: [{ revision: 4n }] });
});

it("an entry of very many records ends the past", async () => {
  const many = Array.from({ length: 200_001 }, () => ({ after: flagRecord("a") }));
  const past = await readPast(newestFirst(entry(2n, many), entry(3n, [{ after: flagRecord("b") }])), 3n, [
    "production",
  ]);
  expect(past.get("production")).toMatchObject({ floor: 2n, changes: [{ revision: 3n }] });
});
