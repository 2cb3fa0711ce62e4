import { appendFile, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type CountedOutcome, emptySnapshot } from "../../../src/engine/index.js";
import { DecisionFile } from "../../../src/server/decisions/decision-file.js";
import { DecisionLog, type DecisionSink } from "../../../src/server/decisions/decision-log.js";
import { environmentState, flag, position } from "../../engine/build.js";
import { VirtualClock } from "../../support/virtual-clock.js";

const START_MS = Date.UTC(2026, 0, 1);

const snapshot = emptySnapshot("production").apply("full", [environmentState(["email"]), flag("a")], position(7));

function outcomeOf(): CountedOutcome {
  const outcome = snapshot.flag("a")?.select({}, 0);
  if (outcome === undefined) throw new Error("there is a flag");
  return outcome;
}

/** What was written, and how the sink does. */
function openLog({ sample = 1, random = (): number => 0, fails = false } = {}) {
  const clock = new VirtualClock(START_MS);
  const written: string[][] = [];
  const warnings: string[] = [];
  const state = { fails, hangs: false };
  const sink: DecisionSink = {
    async write(decisions) {
      if (state.hangs) await new Promise(() => undefined);
      if (state.fails) throw new Error("the disk is full");
      written.push(decisions.map(({ context }) => context ?? "-"));
    },
    close: async () => undefined,
  };
  const log = new DecisionLog({ sink, sample, clock, random, warn: (message) => void warnings.push(message) });
  const answer = (context: object) => log.answered(outcomeOf(), snapshot, { ...context });
  return { clock, written, warnings, state, log, answer };
}

describe("a log of decisions", () => {
  it("writes batches in the background, without private attributes", async () => {
    const { clock, written, answer } = openLog();
    answer({ targetingKey: "u1", email: "u1@example.test" });
    answer({ targetingKey: "u2" });
    expect(written).toEqual([]);
    await clock.advance(1_000);
    expect(written).toEqual([['{"targetingKey":"u1"}', '{"targetingKey":"u2"}']]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("takes the share that it is told to", async () => {
    const numbers = [0.2, 0.3, 0.249, 0.99];
    const { clock, written, answer } = openLog({ sample: 0.25, random: () => numbers.shift() ?? 1 });
    for (const targetingKey of ["a", "b", "c", "d"]) answer({ targetingKey });
    await clock.advance(1_000);
    expect(written).toEqual([['{"targetingKey":"a"}', '{"targetingKey":"c"}']]);
  });

  it("leaves out a context that is large, and tells of the answer", async () => {
    const { clock, written, answer } = openLog();
    answer({ targetingKey: "u".repeat(16_384) });
    await clock.advance(1_000);
    expect(written).toEqual([["-"]]);
  });

  it("makes a context text once for all answers to a request, however large it is", async () => {
    const { clock, written, log } = openLog();
    let reads = 0;
    const context = {
      get plan() {
        reads++;
        return "pro";
      },
    };
    for (let n = 0; n < 3; n++) log.answered(outcomeOf(), snapshot, context);
    const changed = snapshot.apply("delta", [environmentState(["plan"])], position(8));
    log.answered(outcomeOf(), changed, context);
    await clock.advance(1_000);
    expect(written).toEqual([['{"plan":"pro"}', '{"plan":"pro"}', '{"plan":"pro"}', "{}"]]);
    expect(reads).toBeLessThanOrEqual(4);
  });

  it("does not wait for its interval where there is much", async () => {
    const { clock, written, answer } = openLog();
    for (let n = 0; n < 1_000; n++) answer({ n });
    await clock.advance(0);
    expect(written.map((batch) => batch.length)).toEqual([1_000]);
  });

  it("writes large contexts in batches of a bounded size", async () => {
    const { clock, written, answer } = openLog();
    const text = "x".repeat(16_000);
    for (let n = 100; n < 300; n++) answer({ n, text });
    await clock.advance(1_000);
    expect(written.map((batch) => batch.length)).toEqual([65, 65, 65, 5]);
    expect(written.flat().map((context) => JSON.parse(context).n)).toEqual(
      Array.from({ length: 200 }, (_, n) => 100 + n),
    );
  });

  it("counts what it loses, and complains once a minute", async () => {
    const { clock, warnings, state, log, answer } = openLog({ fails: true });
    for (let second = 0; second < 90; second++) {
      answer({});
      await clock.advance(1_000);
    }
    expect(warnings).toEqual([
      "decisions cannot be written, 1 are lost so far: the disk is full",
      "decisions cannot be written, 61 are lost so far: the disk is full",
    ]);
    state.fails = false;
    answer({});
    await clock.advance(1_000);
    expect(log.counts).toEqual({ written: 1, lost: 90 });
  });

  it("holds a bounded number while nothing gets through", async () => {
    const { clock, state, log, answer } = openLog();
    state.hangs = true;
    answer({});
    await clock.advance(1_000);
    for (let n = 0; n < 10_005; n++) answer({});
    expect(log.counts.lost).toBe(5);
  });

  it("holds contexts of a bounded size", () => {
    const { log, answer } = openLog();
    const large = "x".repeat(16_000);
    for (let n = 0; n < 1_100; n++) answer({ large });
    expect(log.counts.lost).toBeGreaterThan(0);
    expect(log.counts.lost).toBeLessThan(100);
  });

  it("writes what is left when it is closed", async () => {
    const { written, warnings, log, answer } = openLog();
    answer({});
    await log.close();
    expect(written).toEqual([["{}"]]);
    expect(warnings).toEqual([]);
  });

  it("is closed in two seconds although nothing gets through", async () => {
    const { clock, warnings, state, log, answer } = openLog();
    state.hangs = true;
    for (let n = 0; n < 3; n++) answer({});
    const closed = log.close();
    await clock.advance(2_000);
    await closed;
    expect(warnings).toEqual(["3 decisions could not be written before the end"]);
  });
});

describe("a file of decisions", () => {
  async function openFile() {
    const directory = await mkdtemp(join(tmpdir(), "flagwire-decisions-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, "decisions.jsonl");
    const file = new DecisionFile(path);
    onTestFinished(() => file.close());
    const decision = (context: string | undefined) => ({
      timeMs: START_MS,
      environment: "production",
      revision: 7n,
      outcome: outcomeOf(),
      context,
    });
    return { path, file, decision, write: (context?: string) => file.write([decision(context)]) };
  }

  it("has one line of JSON for each, and is for its owner alone", async () => {
    const { path, write } = await openFile();
    await write('{"targetingKey":"u1"}');
    await write();
    const lines = (await readFile(path, "utf8")).split("\n");
    const answer = { time: "2026-01-01T00:00:00.000Z", environment: "production", flagKey: "a", revision: "7" };
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      ...answer,
      variant: outcomeOf().variant,
      reason: outcomeOf().reason,
      context: { targetingKey: "u1" },
    });
    expect(JSON.parse(lines[1] ?? "")).not.toHaveProperty("context");
    expect(lines).toHaveLength(3);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("is begun anew where it was moved away", async () => {
    const { path, write } = await openFile();
    await write('"1"');
    await rename(path, `${path}.1`);
    await write('"2"');
    expect(await readFile(path, "utf8")).toContain('"context":"2"');
    expect(await readFile(`${path}.1`, "utf8")).not.toContain('"context":"2"');
    await rm(path);
    await write('"3"');
    expect(await readFile(path, "utf8")).toContain('"context":"3"');
  });

  it("is added to beside others", async () => {
    const { path, write } = await openFile();
    await write('"1"');
    await appendFile(path, "of another process\n");
    await write('"2"');
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe("of another process");
  });

  it("keeps lines whole where several processes write much at once", async () => {
    const { path, file, decision } = await openFile();
    const other = new DecisionFile(path);
    onTestFinished(() => other.close());
    const batch = Array.from({ length: 1_000 }, () => decision(JSON.stringify("x".repeat(1_500))));
    for (let round = 0; round < 3; round++) await Promise.all([file.write(batch), other.write(batch)]);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(6_000);
    expect(new Set(lines).size).toBe(1);
  });
});
