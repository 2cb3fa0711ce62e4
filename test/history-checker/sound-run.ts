import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type HistoryEntry, type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { openMemoryStore, type RecordChange } from "../../src/store/index.js";
import { CommitLog, type LoggedEpoch } from "./commit-log.js";
import type { EnvironmentLog } from "./environment-log.js";
import type { History, ItemRecord, MessageRecord, PositionRecord } from "./history.js";
import { toItemRecord } from "./to-records.js";

/** A run in which all is well, to be damaged. */
export interface SoundRun {
  readonly epochs: LoggedEpoch[];
  readonly history: Writable<History>;
}

export type Writable<T> = T extends readonly (infer E)[]
  ? Writable<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Writable<T[K]> }
    : T;

export const EPOCH = "first";
export const RESTORED = "restored";

/** The revision n is durable at n * 100 ms and its write is acknowledged 10 ms later. */
export async function soundRun(): Promise<SoundRun> {
  const commits = (await transactions()).map((entry) => ({ entry, durableAt: Number(entry.revision) * 100 }));
  const newest = commits.at(-1);
  if (newest === undefined) throw new Error("there are no transactions");
  const restored = { entry: { ...newest.entry, revision: 6n, comment: "after" }, durableAt: 900 };
  const first = { epoch: EPOCH, commits };
  const epochs = [first, { epoch: RESTORED, base: { epoch: EPOCH, revision: 5 }, commits: [restored] }];
  restored.entry.changes = [targetingChange(commits[5]?.entry, 6n)];
  const production = new CommitLog([first]).epochs.get(EPOCH)?.environment("production");
  if (production === undefined) throw new Error("there is no environment");
  return { epochs, history: structuredClone(toHistory(production)) as Writable<History> };
}

function targetingChange(entry: HistoryEntry | undefined, revision: bigint): HistoryEntry["changes"][number] {
  const [change] = entry?.changes ?? [];
  const after = change?.after;
  if (change === undefined || after?.kind.case !== "targeting") throw new Error("revision 6 changes no targeting");
  return { ...change, after: { ...after, kind: { case: "targeting", value: { ...after.kind.value, revision } } } };
}

async function transactions(): Promise<HistoryEntry[]> {
  await using store = await openMemoryStore({ epoch: EPOCH });
  const kept: HistoryEntry[] = [];
  const commit = async (comment: string, ...changes: RecordChange[]): Promise<void> => {
    await store.commit({ timeMs: 0, author: "", comment, changes, preconditions: [] });
  };
  await commit("w1", environment("production"));
  await commit("w2", flag("a"), targeting("production", "a", "on"));
  await commit("w3", environment("staging"), targeting("staging", "a", "off"));
  await commit("w4", targeting("production", "a", "off"));
  await commit("w5", segment("production", "s", ["k1", "k2", "k3"]));
  await commit("w6", targeting("staging", "a", "on"));
  await commit("w7", flag("b"), targeting("production", "b", "on"));
  await commit("w8", { id: "flag/b", after: undefined }, { id: "targeting/production/b", after: undefined });
  for await (const entry of store.history()) kept.unshift(entry);
  return kept;
}

function toHistory(production: EnvironmentLog): History {
  return {
    final: at(8),
    writes: Array.from({ length: 8 }, (_, index) => ({
      id: `w${index + 1}`,
      idempotent: true,
      expectedRevision: index,
      attempts: [
        {
          calledAt: index * 100 + 20,
          endedAt: index * 100 + 110,
          through: "server",
          outcome: { kind: "acknowledged", epoch: EPOCH, revision: index + 1 },
        },
      ],
    })),
    streams: [
      {
        client: "from nothing",
        environment: "production",
        openedAt: 250,
        unhindered: true,
        shownBefore: at(2),
        messages: [
          update(300, "full", 2, ["flag/a"], production),
          update(410, "delta", 4, ["flag/a"], production),
          ...parts(update(510, "delta", 5, ["segment/s"], production)),
          { at: 610, items: [], heartbeat: { position: at(6) } },
          update(710, "delta", 7, ["flag/b"], production),
          update(810, "delta", 8, ["flag/b"], production),
          { at: 900, items: [], goodbye: "SHUTDOWN" },
        ],
        end: { at: 910, how: "unavailable" },
      },
      {
        client: "resumed",
        environment: "production",
        asked: at(4),
        openedAt: 820,
        live: true,
        messages: [update(830, "delta", 8, ["segment/s", "flag/b"], production)],
      },
      {
        client: "up to date",
        environment: "production",
        asked: at(8),
        openedAt: 820,
        once: true,
        messages: [update(830, "none", 8, [], production)],
        end: { at: 840, how: "ok" },
      },
      {
        client: "from elsewhere",
        environment: "production",
        asked: { epoch: "another", revision: 4 },
        openedAt: 820,
        messages: [update(830, "full", 8, ["flag/a", "segment/s"], production)],
        end: { at: 840, how: "broken" },
      },
      {
        client: "from the future",
        environment: "production",
        asked: at(9),
        openedAt: 320,
        messages: [update(830, "full", 8, ["flag/a", "segment/s"], production)],
        end: { at: 840, how: "broken" },
      },
    ],
    mirrors: [
      {
        client: "mirror",
        environment: "production",
        live: true,
        sightings: [
          { at: 100, revision: 0, digest: "0".repeat(16) },
          ...[2, 4, 5, 8].map((revision) => ({
            at: revision * 100 + 50,
            epoch: EPOCH,
            revision,
            digest: production.at(revision)?.digest ?? "",
            keys: ["a"],
            answers: [{ flagKey: "a", targetingKey: "u", variant: revision < 4 ? "on" : "off", reason: "STATIC" }],
          })),
        ],
      },
    ],
    evaluations: [4, 7].map((revision) => ({
      client: "caller",
      environment: "production",
      calledAt: revision * 100 + 12,
      endedAt: revision * 100 + 20,
      through: "server",
      revision,
      answers: [{ flagKey: "a", targetingKey: "u", variant: "off", reason: "STATIC" }],
    })),
  };
}

function update(
  time: number,
  begin: "full" | "delta" | "none",
  revision: number,
  ids: readonly string[],
  environment: EnvironmentLog,
): MessageRecord {
  const items = ids.map((id): ItemRecord => {
    const logged = environment.item(id, revision);
    return logged === undefined ? { kind: "deleted", id } : toItemRecord(logged.item);
  });
  return { at: time, begin, items, commit: { position: at(revision), digest: environment.at(revision)?.digest ?? "" } };
}

/** An update of one segment in two messages. */
function parts({ at: time, begin, items, commit }: MessageRecord): MessageRecord[] {
  const [item] = items;
  if (item?.kind !== "segment") throw new Error("the update has no segment");
  const [first = "", ...rest] = item.included;
  const { id, environment } = item;
  return [
    { at: time, begin, items: [{ ...item, included: [first], keyCount: item.included.length }] },
    { at: time, items: [{ kind: "keys", id, environment, included: rest, excluded: [] }], commit },
  ];
}

export function at(revision: number, epoch = EPOCH): PositionRecord {
  return { epoch, revision };
}

function environment(name: string): RecordChange {
  return { id: `environment/${name}`, after: record({ kind: { case: "environment", value: { name } } }) };
}

function flag(key: string): RecordChange {
  const variants = {
    on: { kind: { case: "boolValue" as const, value: true } },
    off: { kind: { case: "boolValue" as const, value: false } },
  };
  const value = { key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants, description: "for people" };
  return { id: `flag/${key}`, after: record({ kind: { case: "flag", value } }) };
}

function targeting(environment: string, flagKey: string, variant: string): RecordChange {
  const served = { kind: { case: "variant" as const, value: variant } };
  const value = { environment, flagKey, enabled: true, offVariant: "off", default: served };
  return { id: `targeting/${environment}/${flagKey}`, after: record({ kind: { case: "targeting", value } }) };
}

function segment(environment: string, key: string, included: string[]): RecordChange {
  const value = { environment, key, included };
  return { id: `segment/${environment}/${key}`, after: record({ kind: { case: "segment", value } }) };
}

function record(init: MessageInitShape<typeof RecordSchema>): Record {
  return create(RecordSchema, init);
}
