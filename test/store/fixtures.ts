import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema, FlagType, ReservedKeySchema } from "../../gen/flagwire/v1/flag_pb.js";
import { type HistoryEntry, type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  type ChangeOutline,
  flagId,
  isStoreProblem,
  type LmdbStoreOptions,
  openLmdbStore,
  type Precondition,
  type RecordChange,
  type Store,
  type StoreProblem,
  type Transaction,
} from "../../src/store/index.js";

/** A flag, told apart by its description. */
export function flagRecord(key: string, description = ""): Record {
  const flag = {
    key,
    description,
    type: FlagType.BOOLEAN,
    variants: { on: { kind: bool(true) }, off: { kind: bool(false) } },
  };
  return create(RecordSchema, { kind: { case: "flag", value: create(FlagSchema, flag) } });
}

const bool = (value: boolean) => ({ case: "boolValue", value }) as const;

export function targetingRecord(environment: string, flagKey: string): Record {
  const value = create(TargetingSchema, { environment, flagKey, enabled: true });
  return create(RecordSchema, { kind: { case: "targeting", value } });
}

export function segmentRecord(environment: string, key: string, included = ["u1"]): Record {
  const value = create(SegmentSchema, { environment, key, included });
  return create(RecordSchema, { kind: { case: "segment", value } });
}

export function environmentRecord(name: string): Record {
  return create(RecordSchema, { kind: { case: "environment", value: create(EnvironmentSchema, { name }) } });
}

export function reservedKeyRecord(key: string): Record {
  return create(RecordSchema, { kind: { case: "reservedKey", value: create(ReservedKeySchema, { key }) } });
}

/** A change that puts a flag. */
export function put(key: string, description = ""): RecordChange {
  return { id: flagId(key), after: flagRecord(key, description) };
}

export function remove(key: string): RecordChange {
  return { id: flagId(key), after: undefined };
}

export function transaction(changes: readonly RecordChange[], rest: Partial<Transaction> = {}): Transaction {
  return { timeMs: 1_700_000_000_000, author: "ann", comment: "why", preconditions: [], ...rest, changes };
}

/** Commits, and gives the revision; throws if it was not committed. */
export async function commit(
  store: Store,
  changes: readonly RecordChange[],
  ...preconditions: readonly Precondition[]
): Promise<bigint> {
  const result = await store.commit(transaction(changes, { preconditions }));
  if (result.kind !== "committed") throw new Error(`not committed: ${result.kind}`);
  return result.revision;
}

/** The first `count` entries after `revision`. */
export async function tailed(store: Store, revision: bigint, count: number): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  const stop = new AbortController();
  if (count === 0) return entries;
  for await (const entry of store.tail(revision, stop.signal)) {
    entries.push(entry);
    if (entries.length === count) break;
  }
  return entries;
}

export async function historyOf(store: Store, before?: bigint): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for await (const entry of store.history(before)) entries.push(entry);
  return entries;
}

/** What history is in outline, with all of each entry beside it. */
export async function outlinesOf(store: Store, before?: bigint) {
  const outlines: { revision: bigint; changes: ChangeOutline[]; entry: HistoryEntry }[] = [];
  for await (const outline of store.outlines(before)) {
    outlines.push({ revision: outline.revision, changes: [...outline.changes()], entry: outline.entry() });
  }
  return outlines;
}

/** A directory that goes away with the test. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-store-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A store on disk that is closed with the test; throws if it cannot be opened. */
export async function openStore(path: string, options: Partial<LmdbStoreOptions> = {}): Promise<Store> {
  const store = await openLmdbStore({ path, ...options });
  if (isStoreProblem(store)) throw new Error(`${store.kind}: ${store.message}`);
  onTestFinished(() => store.close());
  return store;
}

/** Why a store cannot be opened; throws if it can. */
export async function openProblem(options: LmdbStoreOptions): Promise<StoreProblem> {
  const store = await openLmdbStore(options);
  if (isStoreProblem(store)) return store;
  await store.close();
  throw new Error("opened");
}
