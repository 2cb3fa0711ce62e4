import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Clock, systemClock } from "../../src/base/index.js";
import { openSupervisor, type Supervisor } from "../../src/cluster/index.js";
import type { WorkerSpeech } from "../../src/cluster/messages.js";
import { ListenProblem } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";
import { packTransaction } from "../../src/store/packed-transaction.js";
import { put, transaction } from "../store/fixtures.js";

/** Programs that speak as a worker does, each with one fault; what they send is what `messages.ts` describes. */
const PROGRAMS = {
  /** Reports often, and greets whoever connects with its process id. */
  talkative: `
    say({ kind: "opened", revision: 0n });
    let received = 0;
    process.on("message", (message, socket) => {
      if (message.notice?.kind === "announce") say({ kind: "ready" });
      if (message.notice?.kind === "drain") process.exit();
      if (message.notice?.kind !== "connection") return;
      received++;
      say({ kind: "taken" });
      socket.on("error", () => {}).write(String(process.pid));
    });
    process.on("message", ({ kind, id }) => {
      if (kind === "question") process.send({ kind: "answer", id, answer: { flagCount: process.pid } });
    });
    setInterval(() => say({ kind: "report", report: { received, connections: received, watchers: 0 } }), 5);`,
  /** As that one, for as long as it is in this state. */
  mute: `
    say({ kind: "opened", revision: 0n });
    process.on("message", (message) => {
      if (message.notice?.kind === "announce") say({ kind: "ready" });
      if (message.notice?.kind === "drain") process.exit();
    });`,
  /** Ends when it is asked how it is. */
  shy: `
    say({ kind: "opened", revision: 0n });
    process.on("message", (message) => {
      if (message.notice?.kind === "announce") say({ kind: "ready" });
      if (message.kind === "question") process.exit();
    });`,
  /** Says what it is given to say, and tells what it hears of writes. */
  obedient: `
    say({ kind: "opened", revision: 0n });
    process.on("message", ({ kind, id, notice, given }) => {
      if (given !== undefined) process.send(given);
      if (kind === "answer") process.send({ kind: "heard", what: "answer " + id });
      if (notice?.kind === "durable") process.send({ kind: "heard", what: "revision " + notice.edges.newest });
      if (notice?.kind === "drain") process.exit();
    });`,
  failing: `
    say({ kind: "problem", message: "the moon is full" });
    process.on("disconnect", () => process.exit());
    setTimeout(() => process.exit(7), 10);`,
} as const;

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "flagwire-supervisor-"));
  for (const [name, source] of Object.entries(PROGRAMS)) {
    const say = `const say = (notice) => process.send({ kind: "notice", notice });`;
    await writeFile(join(directory, `${name}.mjs`), `${say}\n${source}`);
  }
});
afterAll(() => rm(directory, { recursive: true }));

/** A clock that can also jump, as if this process had been stopped meanwhile. */
class JumpingClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  jump(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { action } of due) action();
  }
}

interface Run {
  readonly supervisor: Supervisor;
  /** In the order that they were started. */
  readonly children: readonly ChildProcess[];
  /** Messages of the log. */
  readonly log: readonly string[];
}

/** A supervisor of workers that run these programs, in the order that they are started; the last one from then on. */
async function supervise(workers: number, programs: (keyof typeof PROGRAMS)[], clock: Clock): Promise<Run> {
  const store = await openMemoryStore();
  const children: ChildProcess[] = [];
  const log: string[] = [];
  const supervisor = await openSupervisor({
    store,
    directory,
    service: {},
    workers,
    listen: { host: "127.0.0.1", port: 0 },
    fork() {
      const program = programs[children.length] ?? programs.at(-1);
      const child = fork(join(directory, `${program}.mjs`), { serialization: "advanced" });
      children.push(child);
      return child;
    },
    log: pino({}, { write: (line: string) => void log.push(JSON.parse(line).msg) }),
    clock,
    random: () => 0,
  });
  if (supervisor instanceof ListenProblem) throw new Error(supervisor.message);
  onTestFinished(async () => {
    for (const child of children) child.kill("SIGKILL");
    await supervisor.stop();
    await store.close();
  });
  return { supervisor, children, log };
}

/** Connects, and gives what is said first. */
function greeting({ address }: Supervisor): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(address.port, address.host);
    onTestFinished(() => void socket.destroy());
    socket.once("data", (chunk) => resolve(chunk.toString())).once("error", reject);
  });
}

/** What an obedient worker hears. */
function hearing(worker: ChildProcess): string[] {
  const heard: string[] = [];
  worker.on("message", (message: { readonly kind: string; readonly what: string }) => {
    if (message.kind === "heard") heard.push(message.what);
  });
  return heard;
}

const shows = (revision: bigint) => ({ kind: "notice", notice: { kind: "shows", revision } });
const ask = (id: number, question: WorkerSpeech["question"]) => ({ kind: "question", id, question });

/** Two obedient workers; the first has written revision 1 and shows it, and has then asked for what is answered at once. */
async function writeOnce(clock: Clock) {
  const run = await supervise(2, ["obedient"], clock);
  await run.supervisor.opened;
  const [writer, reader] = run.children;
  if (writer === undefined || reader === undefined) throw new Error("two workers were asked for");
  const heard = hearing(writer);
  writer.send({ given: ask(1, { kind: "commit", transaction: packTransaction(transaction([put("a")])) }) });
  await vi.waitFor(() => expect(heard).toContain("revision 1"));
  writer.send({ given: shows(1n) });
  writer.send({ given: ask(2, { kind: "seen-by-all", revision: 0n }) });
  await vi.waitFor(() => expect(heard).toContain("answer 2"));
  return { ...run, reader, heard };
}

const isGone = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

/** Lets seconds pass, and one who talks be heard after each. */
async function seconds(clock: JumpingClock, count: number, talkative: ChildProcess | undefined): Promise<void> {
  for (let second = 0; second < count; second++) {
    clock.jump(1_000);
    if (talkative !== undefined) await once(talkative, "message");
  }
}

describe("a supervisor", () => {
  it("gives up on workers that end again and again before they are ready, and says why", async () => {
    const { supervisor, children } = await supervise(1, ["failing"], systemClock);
    const { message } = await supervisor.failed;
    expect(message).toContain("worker 1 ends again and again before it is ready");
    expect(message).toContain("the moon is full");
    expect(children).toHaveLength(5);
  });

  it("does not mind a few such ends", async () => {
    const { supervisor } = await supervise(1, ["failing", "failing", "failing", "failing", "talkative"], systemClock);
    await supervisor.opened;
    await supervisor.announce();
    expect(await greeting(supervisor)).not.toBe("");
  });

  it("keeps connections until there is a worker for them", async () => {
    const { supervisor, children } = await supervise(1, ["failing", "failing", "talkative"], systemClock);
    const greeted = await Promise.all([greeting(supervisor), greeting(supervisor)]);
    expect(greeted).toEqual([String(children[2]?.pid), String(children[2]?.pid)]);
  });

  it("asks the next worker where the one that it has asked ends", async () => {
    const { supervisor, children } = await supervise(2, ["shy", "shy", "talkative"], systemClock);
    await supervisor.opened;
    await supervisor.announce();
    const { flagCount } = await supervisor.overview();
    expect(children.slice(2).map(({ pid }) => pid)).toContain(flagCount);
  });

  it("asks nobody any more once it is stopped", async () => {
    const { supervisor } = await supervise(1, ["failing"], new JumpingClock());
    const asked = supervisor.overview();
    void supervisor.stop();
    await expect(asked).rejects.toThrow("no worker serves");
  });

  it("gives nothing more to a worker that is silent, and replaces it in the end", async () => {
    const clock = new JumpingClock();
    const { supervisor, children, log } = await supervise(2, ["talkative", "mute", "talkative"], clock);
    await supervisor.opened;
    await supervisor.announce();
    await seconds(clock, 5, children[0]);
    const talkative = String(children[0]?.pid);
    expect(await Promise.all(Array.from({ length: 4 }, () => greeting(supervisor)))).toEqual(Array(4).fill(talkative));
    expect(children.filter(isGone)).toEqual([]);
    await seconds(clock, 27, children[0]);
    await vi.waitFor(() => expect(children[1]?.signalCode).toBe("SIGKILL"));
    clock.jump(0);
    await vi.waitFor(() => expect(children).toHaveLength(3));
    expect(log).toContain("a worker says nothing any more and is killed");
    await vi.waitFor(async () => expect(await greeting(supervisor)).toBe(String(children[2]?.pid)));
  });

  it("answers a write when every worker shows it, and not before", async () => {
    const { reader, heard } = await writeOnce(new JumpingClock());
    expect(heard).not.toContain("answer 1");
    reader.send({ given: shows(1n) });
    await vi.waitFor(() => expect(heard).toContain("answer 1"));
  });

  it("answers a write without a worker that does not show it within a second of the first, or has ended", async () => {
    const clock = new JumpingClock();
    const { heard, log } = await writeOnce(clock);
    expect(heard).not.toContain("answer 1");
    clock.jump(1_000);
    await vi.waitFor(() => expect(heard).toContain("answer 1"));
    expect(log).toContain("a worker lags behind: writes are answered before they are seen there");
    const ended = await writeOnce(new JumpingClock());
    ended.reader.kill("SIGKILL");
    await vi.waitFor(() => expect(ended.heard).toContain("answer 1"));
  });

  it("holds no silence against its workers that it slept through itself", async () => {
    const clock = new JumpingClock();
    const { supervisor, children, log } = await supervise(2, ["talkative", "talkative"], clock);
    await supervisor.opened;
    await supervisor.announce();
    clock.jump(60_000);
    await seconds(clock, 3, children[0]);
    await greeting(supervisor);
    expect(children.filter(isGone)).toEqual([]);
    expect(log.filter((message) => message.includes("killed"))).toEqual([]);
  });
});
