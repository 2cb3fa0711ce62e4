import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type HistoryEntry, HistoryEntrySchema } from "../../gen/flagwire/v1/history_pb.js";
import { outlineOfEntry } from "../../src/store/history-outline.js";
import { LiveLog } from "../../src/store/live-log.js";

const ENTRIES = 20n;

/** A log in storage, each entry of which takes some time to read. */
function slowLog(readMs: number): LiveLog {
  let nowMs = 0;
  const read = (revision: bigint) => {
    nowMs += readMs;
    return outlineOfEntry(create(HistoryEntrySchema, { revision }));
  };
  const bounds = { maxEntries: 1, maxBytes: 1 };
  return new LiveLog({ oldest: 1n, newest: ENTRIES }, bounds, read, { monotonicMs: () => nowMs });
}

/** How often others had their turn while a reader that never waits took some entries. */
async function turnsDuring(entries: AsyncIterable<HistoryEntry>): Promise<number> {
  let turns = 0;
  let isReading = true;
  const others = () => {
    if (!isReading) return;
    turns++;
    setImmediate(others);
  };
  setImmediate(others);
  let taken = 0n;
  for await (const _ of entries) if (++taken === ENTRIES) break;
  isReading = false;
  return turns;
}

describe("an entry that is larger than all that may be held", () => {
  const acknowledged = (revision: bigint) => ({
    entry: create(HistoryEntrySchema, { revision }),
    sizeBytes: 1_000,
    edges: { oldest: 1n, newest: revision },
  });

  it("is not read back from storage while it is the newest, and not held after that", async () => {
    const read: bigint[] = [];
    const log = new LiveLog({ oldest: 1n, newest: 0n }, { maxEntries: 10, maxBytes: 1 }, (revision) => {
      read.push(revision);
      return outlineOfEntry(create(HistoryEntrySchema, { revision }));
    });
    const tail = log.tail(0n, new AbortController().signal);
    const first = acknowledged(1n);
    log.publish(first);
    expect((await tail.next()).value).toBe(first.entry);
    log.publish(acknowledged(2n));
    for await (const _ of log.history(undefined));
    expect(read).toEqual([1n]);
  });
});

describe("a reader of history that never waits", () => {
  it.each([
    ["back", (log: LiveLog) => log.history(undefined)],
    ["forth", (log: LiveLog) => log.tail(0n, new AbortController().signal)],
  ])("lets others on after each entry that takes long, reading %s", async (_way, read) => {
    expect(await turnsDuring(read(slowLog(10)))).toBeGreaterThanOrEqual(Number(ENTRIES) - 1);
  });

  it("takes many entries in one turn where they are quickly read", async () => {
    expect(await turnsDuring(slowLog(0).history(undefined))).toBe(0);
  });
});
