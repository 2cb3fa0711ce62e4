import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { backUpStore, flagId, isStoreProblem, type VerifyReport, verifyStore } from "../../src/store/index.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { startChild } from "./child-process.js";
import { editTables } from "./edit-tables.js";
import {
  commit,
  historyOf,
  openStore,
  put,
  remove,
  segmentRecord,
  temporaryDirectory,
  transaction,
} from "./fixtures.js";

/** A directory after some work of every kind: head 3. */
async function worked(): Promise<string> {
  const path = join(await temporaryDirectory(), "data");
  const store = await openStore(path);
  await store.commit(transaction([put("a"), put("b")], { idempotency: { key: "k", fingerprint: "f" } }));
  await commit(store, [remove("b")]);
  await store.commit(transaction([], { idempotency: { key: "unchanged", fingerprint: "f" } }));
  await commit(store, [{ id: "segment/production/s", after: segmentRecord("production", "s") }]);
  await store.close();
  return path;
}

async function backedUp(from: string, to: string): Promise<VerifyReport> {
  const report = await backUpStore({ from, to });
  if (isStoreProblem(report)) throw new Error(report.message);
  return report;
}

describe("a backup", () => {
  it("holds everything of its original, its epoch too", async () => {
    const from = await worked();
    const to = join(await temporaryDirectory(), "a", "b");
    expect(await backedUp(from, to)).toMatchObject({ headRevision: 3n, recordCount: 2, historyCount: 3, problems: [] });
    const [original, copy] = [await openStore(from, { readOnly: true }), await openStore(to, { readOnly: true })];
    expect(copy.epoch).toBe(original.epoch);
    expect(await copy.load()).toEqual(await original.load());
    expect(await historyOf(copy)).toEqual(await historyOf(original));
    expect(copy.edges()).toEqual(original.edges());
    expect(await copy.findIdempotent("k")).toEqual({ key: "k", fingerprint: "f", revision: 1n });
    expect(await copy.findIdempotent("unchanged")).toMatchObject({ revision: 2n, changedNothing: true });
    expect(await readdir(to)).toEqual(expect.not.arrayContaining([expect.stringMatching(/^partial|\.sock/)]));
  });

  it.skipIf(process.platform === "win32")(
    "is refused in one line by who has the server's process id, in another container",
    async () => {
      const from = await worked();
      const owner = createServer((socket) => {
        socket.on("error", () => socket.destroy());
        socket.write(`owner process ${process.pid} on elsewhere\nheld\n`);
      });
      owner.listen(join(from, `owner-${"0".repeat(32)}.sock`));
      await once(owner, "listening");
      onTestFinished(() => void owner.close());
      for (const result of [await verifyStore(from), await backUpStore({ from, to: `${from}-backup` })]) {
        expect(result).toMatchObject({ kind: "in-use", message: expect.stringContaining("in the same container") });
      }
    },
  );

  it("says when it was made", async () => {
    const to = join(await temporaryDirectory(), "backup");
    await backedUp(await worked(), to);
    const report = await verifyStore(to);
    expect(isStoreProblem(report) || report.backupTime).toMatch(/^20\d\d-.*Z$/);
  });

  // Its original may have gone on to the same revisions with other content.
  it("begins a new epoch when a server takes it for its own", async () => {
    const from = await worked();
    const to = join(await temporaryDirectory(), "backup");
    const { epoch } = await backedUp(from, to);
    const first = await openStore(to);
    expect(first.epoch).not.toBe(epoch);
    expect(await commit(first, [put("c")])).toBe(4n);
    const taken = first.epoch;
    await first.close();
    expect((await openStore(to)).epoch).toBe(taken);
    expect(await verifyStore(to)).toMatchObject({ backupTime: undefined, problems: [] });
  });

  it("is one moment of a store that another process writes to", async () => {
    const from = await temporaryDirectory();
    const writer = startChild(process.execPath, [
      build.compiled("test/store/children/writer.ts"),
      from,
      "run",
      "4",
      "5000",
    ]);
    await vi.waitFor(() => expect(writer.lines.length).toBeGreaterThan(200), { timeout: 10_000, interval: 5 });
    for (let round = 0; round < 3; round++) {
      const before = BigInt(String(writer.lines.at(-1)?.revision));
      const report = await backedUp(from, join(await temporaryDirectory(), "backup"));
      expect(report.problems).toEqual([]);
      expect(report.headRevision).toBeGreaterThanOrEqual(before);
    }
    const written = writer.lines.length;
    await vi.waitFor(() => expect(writer.lines.length).toBeGreaterThan(written + 20), { timeout: 10_000, interval: 5 });
  });

  it("has records that are larger than what is read at a time", async () => {
    const from = await temporaryDirectory();
    const store = await openStore(from);
    const keys = Array.from({ length: 700_000 }, (_, i) => `a-rather-long-user-key-${i}`);
    await commit(store, [{ id: "segment/production/s", after: segmentRecord("production", "s", keys) }, put("z")]);
    await store.close();
    const to = join(await temporaryDirectory(), "backup");
    await backedUp(from, to);
    const copy = await openStore(to, { readOnly: true });
    const segment = (await copy.load()).records.get("segment/production/s")?.kind.value;
    if (segment?.$typeName !== "flagwire.v1.Segment") throw new Error("no segment");
    expect(segment.included.join() === keys.join()).toBe(true);
  });
});

let build: Build;
beforeAll(async () => {
  build = await buildProgram("test/store/children/writer.ts");
}, 60_000);
afterAll(() => build.remove());

describe("a backup that cannot be", () => {
  it("needs an empty directory", async () => {
    const to = await temporaryDirectory();
    await writeFile(join(to, "mine"), "");
    expect(await backUpStore({ from: await worked(), to })).toMatchObject({ kind: "occupied" });
    expect(await readdir(to)).toEqual(["mine"]);
  });

  it("does not replace another backup", async () => {
    const from = await worked();
    const to = join(await temporaryDirectory(), "backup");
    await backedUp(from, to);
    expect(await backUpStore({ from, to })).toMatchObject({ kind: "occupied" });
    expect(await verifyStore(to)).toMatchObject({ problems: [] });
  });

  it("leaves nothing where there is nothing to copy", async () => {
    const parent = await temporaryDirectory();
    const to = join(parent, "a", "b");
    expect(await backUpStore({ from: join(parent, "none"), to })).toMatchObject({ kind: "not-found" });
    expect(await readdir(parent)).toEqual([]);
  });

  it("leaves nothing of a damaged store, and says what is wrong", async () => {
    const from = await worked();
    await editTables(from, ({ records }) => records.put("flag/a", Buffer.from([7])));
    const parent = await temporaryDirectory();
    const problem = await backUpStore({ from, to: join(parent, "backup") });
    expect(problem).toMatchObject({ kind: "damaged", message: expect.stringContaining(`record ${flagId("a")}`) });
    expect(await readdir(parent)).toEqual([]);
  });

  it("leaves nothing when it is interrupted, wherever, and can be made again", async () => {
    const from = await worked();
    const parent = await temporaryDirectory();
    const to = join(parent, "backup");
    let polls = 0;
    for (let last = 1; ; last++) {
      polls = 0;
      const signal = new AbortController().signal;
      signal.throwIfAborted = () => {
        if (++polls >= last) throw new DOMException("interrupted", "AbortError");
      };
      const result = await backUpStore({ from, to, signal }).catch((cause: Error) => cause.name);
      if (result !== "AbortError") break;
      expect(await readdir(parent)).toEqual([]);
    }
    expect(polls).toBeGreaterThan(10);
    expect(await verifyStore(to)).toMatchObject({ headRevision: 3n, problems: [] });
  });

  it("takes up a place where one was killed", async () => {
    const to = await temporaryDirectory();
    const partial = join(to, `partial-${"0".repeat(32)}`);
    await mkdir(partial);
    await writeFile(join(partial, "data.mdb"), "cut short");
    expect(await verifyStore(to)).toMatchObject({ kind: "not-found" });
    await backedUp(await worked(), to);
    await expect(stat(partial)).rejects.toThrow("ENOENT");
  });
});

describe("a server on what a killed copy left", () => {
  it("begins with nothing of it, and removes it", async () => {
    const path = await temporaryDirectory();
    await mkdir(join(path, `partial-${"0".repeat(32)}`));
    const store = await openStore(path);
    expect((await store.load()).revision).toBe(0n);
    expect((await readdir(path)).filter((name) => name.startsWith("partial"))).toEqual([]);
  });
});
