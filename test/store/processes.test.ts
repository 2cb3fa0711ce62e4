import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { isStoreProblem, verifyStore } from "../../src/store/index.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { type Child, type ChildLine, startChild } from "./child-process.js";
import { commit, historyOf, openProblem, openStore, put, tailed, temporaryDirectory } from "./fixtures.js";
import { canSlowOpens, slowOpen } from "./slow-open.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("test/store/children");
}, 60_000);
afterAll(() => build.remove());

function startWriter(path: string, run: string, writers = 1, sizeBytes = 0): Child {
  return startChild(process.execPath, [
    build.compiled("test/store/children/writer.ts"),
    path,
    run,
    String(writers),
    String(sizeBytes),
  ]);
}

/** Opens the directory for reading, so many times. */
function startOpener(path: string, times: number, env?: NodeJS.ProcessEnv): Child {
  const program = build.compiled("test/store/children/opener.ts");
  return startChild(process.execPath, [program, path, String(times)], env);
}

async function untilAcknowledged(child: Child, count: number): Promise<void> {
  await vi.waitFor(() => expect(acknowledged(child).length).toBeGreaterThanOrEqual(count), {
    timeout: 10_000,
    interval: 5,
  });
}

const acknowledged = (child: Child): ChildLine[] => child.lines.filter((line) => "revision" in line);

describe("a data directory of another process", () => {
  it("is refused, and its owner is named", async () => {
    const path = await temporaryDirectory();
    const writer = startWriter(path, "owner");
    await untilAcknowledged(writer, 1);
    const problem = await openProblem({ path });
    expect(problem.kind).toBe("in-use");
    expect(problem.message).toMatch(/in use by process \d+ on /);
  });

  it("is refused while that process is stopped", async () => {
    const path = await temporaryDirectory();
    const writer = startWriter(path, "owner");
    await untilAcknowledged(writer, 1);
    writer.kill("SIGSTOP");
    expect((await openProblem({ path })).kind).toBe("in-use");
  });

  it("can be read and verified beside it", async () => {
    const path = await temporaryDirectory();
    const writer = startWriter(path, "owner", 4);
    await untilAcknowledged(writer, 20);
    const store = await openStore(path, { readOnly: true });
    expect((await store.load()).revision).toBeGreaterThanOrEqual(20n);
    const report = await verifyStore(path);
    expect(report).toMatchObject({ problems: [] });
    await untilAcknowledged(writer, acknowledged(writer).length + 20);
  });
});

describe("opening a data directory beside its owner", () => {
  it("takes nothing back that is acknowledged, several hundred times", async () => {
    const path = await temporaryDirectory();
    const writer = startWriter(path, "owner", 4);
    await untilAcknowledged(writer, 1);
    const openers = [1, 2, 3].map(() => startOpener(path, 150));
    await Promise.all(openers.map(({ ended }) => ended));
    for (const { lines } of openers) {
      expect(lines).toHaveLength(151);
      const heads = lines.slice(0, -1).map(({ head }) => Number(head));
      expect(heads).toEqual(heads.toSorted((a, b) => a - b));
    }
    await expectGoesOn(writer);
    writer.kill("SIGKILL");
    await writer.ended;
    await checkRound(path, acknowledged(writer), acknowledged(writer), 4);
  }, 60_000);

  it.skipIf(!canSlowOpens())(
    "takes nothing back at the worst moment (needs Linux and cc)",
    async () => {
      const [path, folder] = [await temporaryDirectory(), await temporaryDirectory()];
      const writer = startWriter(path, "owner", 0);
      await commitTwice(writer);
      const opener = await startSlowOpener(path, slowOpen(folder, { delayMs: 500 }));
      await commitTwice(writer);
      await opener.ended;
      expect(opener.lines).toEqual([{ opening: true }, { head: expect.any(String) }, { done: true }]);
      await commitTwice(writer);
      writer.kill("SIGKILL");
      await writer.ended;
      expect(acknowledged(writer)).toHaveLength(6);
      await checkRound(path, acknowledged(writer), acknowledged(writer), 0);
    },
    30_000,
  );

  it.skipIf(!canSlowOpens())(
    "holds no writes up for good, and loses none if it then goes on (needs Linux and cc)",
    async () => {
      const [path, folder] = [await temporaryDirectory(), await temporaryDirectory()];
      const [writer, whilePresent] = [startWriter(path, "owner", 0), join(folder, "stopped")];
      await commitTwice(writer);
      await writeFile(whilePresent, "");
      const opener = await startSlowOpener(path, slowOpen(folder, { whilePresent }));
      await commitTwice(writer);
      await rm(whilePresent);
      await opener.ended;
      writer.kill("SIGUSR2");
      await writer.ended;
      // It noticed, and let go of everything in order.
      expect(writer.lines.filter((line) => "failed" in line)).toHaveLength(1);
      expect(writer.lines.at(-1)).toEqual({ closed: true });
      expect(acknowledged(writer)).toHaveLength(4);
      await checkRound(path, acknowledged(writer), acknowledged(writer), 0);
    },
    30_000,
  );
});

/** A process that has stopped in the midst of opening the directory. */
async function startSlowOpener(path: string, env: NodeJS.ProcessEnv): Promise<Child> {
  const opener = startOpener(path, 1, env);
  await vi.waitFor(() => expect(opener.lines).toEqual([{ opening: true }]), { timeout: 10_000, interval: 1 });
  return opener;
}

/** Lets a writer that waits for it commit, one after the other. */
async function commitTwice(writer: Child): Promise<void> {
  await vi.waitFor(() => expect(writer.lines).not.toEqual([]), { timeout: 10_000, interval: 5 });
  const count = acknowledged(writer).length;
  writer.kill("SIGUSR2");
  await untilAcknowledged(writer, count + 2);
}

/** It has refused nothing, and answers still. */
async function expectGoesOn(writer: Child): Promise<void> {
  await untilAcknowledged(writer, acknowledged(writer).length + 20);
  expect(writer.lines.filter((line) => "refused" in line || "failed" in line)).toEqual([]);
}

describe("kill -9", () => {
  it("loses no acknowledged write and leaves a consistent store, round after round", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`kill -9: seed ${seed}`);
    const random = mulberry32(seed);
    const path = await temporaryDirectory();
    const all: ChildLine[] = [];
    for (let round = 0; round < 8; round++) {
      const writers = 1 + Math.floor(random() * 16);
      const writer = startWriter(path, `round-${round}`, writers);
      await untilAcknowledged(writer, Math.floor(random() * 120));
      writer.kill("SIGKILL");
      await writer.ended;
      all.push(...acknowledged(writer));
      await checkRound(path, all, acknowledged(writer), writers);
    }
    expect(all.length).toBeGreaterThan(0);
  }, 60_000);
});

/** Reopens the directory and compares it with what was acknowledged. */
async function checkRound(path: string, all: ChildLine[], round: ChildLine[], writers: number): Promise<void> {
  const report = await verifyStore(path);
  if (isStoreProblem(report)) {
    // Killed before anything was created.
    expect(report.kind).toBe("not-found");
    return;
  }
  expect(report.problems).toEqual([]);
  const store = await openStore(path, { history: { maxEntries: 500 } });
  const byRevision = new Map<bigint, HistoryEntry>();
  for (const entry of await historyOf(store)) byRevision.set(entry.revision, entry);
  const { oldest, newest } = store.edges();
  expect(newest).toBe((await store.load()).revision);
  for (const { revision, key, name } of all) {
    const number = BigInt(String(revision));
    expect(number).toBeLessThanOrEqual(newest);
    if (number < oldest) continue;
    expect(byRevision.get(number)?.comment).toBe(name);
    expect(byRevision.get(number)?.changes[0]?.key).toBe(key);
    expect(await store.findIdempotent(String(name))).toMatchObject({ revision: number });
  }
  const last = round.reduce(
    (max, { revision }) => (BigInt(String(revision)) > max ? BigInt(String(revision)) : max),
    0n,
  );
  // What a killed process had in flight may be there or not.
  if (last > 0n) expect(Number(newest - last)).toBeLessThanOrEqual(writers);
  expect(await commit(store, [put("between-rounds")])).toBe(newest + 1n);
  expect(await tailed(store, newest, 1)).toHaveLength(1);
  await store.close();
}

describe.skipIf(process.platform === "win32")("a write that the operating system refuses", () => {
  it("stops the store for good, without losing what was acknowledged", async () => {
    const path = await temporaryDirectory();
    // A limit on the size of files, in blocks of 512 bytes: LMDB's writes beyond it fail.
    const limited = `ulimit -f 2000; exec "$0" "$@"`;
    const args = [process.execPath, build.compiled("test/store/children/writer.ts"), path, "limited", "4", "20000"];
    const writer = startChild("/bin/sh", ["-c", limited, ...args]);
    await writer.ended;
    const { lines } = writer;
    expect(lines.filter((line) => "unhandled" in line)).toEqual([]);
    expect(lines.filter((line) => "failed" in line)).toHaveLength(1);
    const refused = lines.filter((line) => "refused" in line);
    expect(refused).toHaveLength(4);
    for (const line of refused) expect(line.refused).toMatchObject({ kind: "unavailable" });
    expect(refused.some((line) => (line.refused as { uncertain: boolean }).uncertain)).toBe(true);
    expect(lines.find((line) => "after" in line)?.after).toMatchObject({ kind: "unavailable", uncertain: false });
    expect(lines.at(-1)).toEqual({ closed: true });
    expect(await verifyStore(path)).toMatchObject({ problems: [] });
    const store = await openStore(path);
    const last = acknowledged(writer).at(-1);
    expect(await store.findIdempotent(String(last?.name))).toMatchObject({ revision: BigInt(String(last?.revision)) });
  });
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
