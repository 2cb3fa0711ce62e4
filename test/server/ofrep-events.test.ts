import { get, IncomingMessage, ServerResponse } from "node:http";
import { connect, Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { EventStream } from "../../src/server/ofrep/event-stream.js";
import { FlagConfigs } from "../../src/server/ofrep/flag-configs.js";
import { Head } from "../../src/server/state/head.js";
import { environmentId, openMemoryStore } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { flag, serve } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { ask, BULK, commitItems, EVENTS } from "./ofrep-support.js";

/** Twice what counts as recent. */
const LONG_MS = 120_000;

let server: TestServer;
let clock: VirtualClock;
let count = 0;

beforeAll(async () => {
  clock = new VirtualClock();
  server = await openTestServer({ clock, random: () => 0.5 });
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  await commitItems(server, [flag("a")]);
});

afterAll(() => server[Symbol.asyncDispose]());

beforeEach(() => clock.advance(LONG_MS));

/** A stream of events as it comes. Not by `fetch`, which opens connections ahead of need. */
class Events implements AsyncDisposable {
  text = "";
  ended = false;

  private constructor(readonly response: IncomingMessage) {
    response.setEncoding("utf8");
    response.on("error", () => {});
    response.on("data", (chunk: string) => {
      this.text += chunk;
    });
    response.on("end", () => {
      this.ended = true;
    });
  }

  static open(path = EVENTS, headers: Record<string, string> = {}): Promise<Events> {
    return new Promise((resolve, reject) => {
      const sent = get(`http://${server.address}${path}`, { headers, agent: false }, (response) =>
        resolve(new Events(response)),
      );
      sent.on("error", reject);
    });
  }

  /** The tag of the last message, once there are so many blocks of text. */
  async tag(blocks: number): Promise<string> {
    await this.blocks(blocks);
    return [...this.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
  }

  /** The text, once it has so many blocks. */
  async blocks(blocks: number): Promise<readonly string[]> {
    await expect.poll(() => this.text.split("\n\n").length - 1, { interval: 5 }).toBe(blocks);
    return this.text.split("\n\n").slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.response.destroy();
  }
}

/** Changes the flag `a` in one environment. */
async function change(environment = "production"): Promise<void> {
  count += 1;
  await commitItems(server, [flag("a", { default: serve(count % 2 === 0 ? "a" : "b") })], environment);
}

/** Changes what the flags of no environment depend on. */
async function changeNothing(): Promise<void> {
  count += 1;
  await server.admin.updateEnvironment({ environment: { name: "staging", description: `${count}` } });
}

/** The tag of the same flags at another revision. */
const atRevision = (tag: string, revision: bigint) => tag.replace(/-\d+(-[0-9a-f]+)$/, `-${revision}$1`);

const message = (tag: string) => ({
  type: "refetchEvaluation",
  etag: tag,
  lastModified: Math.floor(clock.now() / 1_000),
});

describe("a stream of changes", () => {
  it("begins with when to come back, and with what to come back with", async () => {
    await using events = await Events.open();
    expect(events.response.statusCode).toBe(200);
    expect(events.response.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    expect(await events.blocks(2)).toEqual(["retry: 3000", expect.stringMatching(/^id: \S+$/)]);
  });

  it("tells of a change", async () => {
    await using events = await Events.open();
    const before = await events.tag(2);
    await change();
    const [, , told = ""] = await events.blocks(3);
    const [id, event, data = ""] = told.split("\n");
    const tag = await events.tag(3);
    expect(id).toBe(`id: ${tag}`);
    expect(tag).not.toBe(before);
    expect(event).toBe("event: message");
    expect(JSON.parse(data.replace("data: ", ""))).toEqual(message(tag));
  });

  it("tells of no change of another environment, and of none that changes no flag", async () => {
    await using events = await Events.open();
    await using others = await Events.open(`${EVENTS}?environment=staging`);
    await others.blocks(2);
    await events.blocks(2);
    await change("staging");
    await others.blocks(3);
    await changeNothing();
    await change();
    expect(await events.blocks(3)).toHaveLength(3);
  });

  it("tells that it lives where nothing changes", async () => {
    await using events = await Events.open();
    await events.blocks(2);
    await clock.advance(30_000);
    expect((await events.blocks(3))[2]).toBe(":");
    await clock.advance(30_000);
    expect((await events.blocks(4))[3]).toBe(":");
    await clock.advance(20_000);
    await change();
    await events.blocks(5);
    await clock.advance(20_000);
    await clock.advance(9_999);
    await change();
    expect((await events.blocks(6))[5]).toContain("refetchEvaluation");
  });

  it("tells who comes back of what it missed, and of nothing else", async () => {
    let tag = "";
    {
      await using first = await Events.open();
      tag = await first.tag(2);
    }
    await using same = await Events.open(EVENTS, { "last-event-id": tag });
    expect((await same.blocks(2))[1]).toBe(`id: ${tag}`);
    await change();
    await clock.advance(LONG_MS);
    await using missed = await Events.open(EVENTS, { "last-event-id": tag });
    expect((await missed.blocks(2))[1]).toContain("refetchEvaluation");
    await using odd = await Events.open(EVENTS, { "last-event-id": "no tag of ours" });
    expect((await odd.blocks(2))[1]).toContain("refetchEvaluation");
  });

  it("knows a state by what it holds, at whatever revision", async () => {
    await using first = await Events.open();
    const tag = await first.tag(2);
    const made = tag.replace(/^.*-\d+-/, "another-epoch-7-");
    await using same = await Events.open(EVENTS, { "last-event-id": made });
    expect((await same.blocks(2))[1]).toBe(`id: ${tag}`);
  });

  it("tells who comes for the first time of a change that it may have missed on its way here", async () => {
    await change();
    await clock.advance(10_000);
    await using events = await Events.open();
    expect((await events.blocks(2))[1]).toContain("refetchEvaluation");
  });

  it("ends with its environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "short" } });
    await using events = await Events.open(`${EVENTS}?environment=short`);
    await events.blocks(2);
    const { revision } = await server.admin.listEnvironments({});
    await server.admin.deleteEnvironment({ name: "short", expectedRevision: revision });
    await expect.poll(() => events.ended, { interval: 5 }).toBe(true);
  });

  it("lets go of everything when its client leaves", async () => {
    const before = clock.pendingTimers;
    const events = await Events.open();
    await events.blocks(2);
    expect(clock.pendingTimers).toBeGreaterThan(before);
    await events[Symbol.asyncDispose]();
    await expect.poll(() => clock.pendingTimers, { interval: 5 }).toBe(before);
  });

  it("that waits behind another one on its connection lets go of everything with it", async () => {
    const before = clock.pendingTimers;
    const { hostname, port } = new URL(`http://${server.address}`);
    const socket = connect(Number(port), hostname);
    socket.write(`GET ${EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(20));
    await expect.poll(() => clock.pendingTimers, { interval: 5 }).toBe(before + 20);
    socket.destroy();
    await expect.poll(() => clock.pendingTimers, { interval: 5 }).toBe(before);
  });
});

it("who has heard of a revision that this process has not is answered when it is there, or a second later", async () => {
  await using events = await Events.open();
  const tag = await events.tag(2);
  const ahead = atRevision(tag, server.server.revision + 1n);
  let answered = false;
  const path = `${BULK}?flagConfigEtag=${encodeURIComponent(ahead)}`;
  const answer = ask(server, path).finally(() => {
    answered = true;
  });
  await ask(server, BULK);
  expect(answered).toBe(false);
  await change();
  expect((await answer).status).toBe(200);
  const made = ask(server, `${BULK}?flagConfigEtag=${encodeURIComponent(atRevision(tag, 999_999_999n))}`);
  await expect.poll(() => clock.pendingTimers, { interval: 5 }).toBeGreaterThan(1);
  await clock.advance(1_000);
  expect((await made).status).toBe(200);
});

it("a server that stops ends its streams", async () => {
  const other = await openTestServer();
  const response = await fetch(`http://${other.address}${EVENTS}`);
  const text = response.text();
  await other[Symbol.asyncDispose]();
  expect(await text).toMatch(/^retry: \d+\n\n/);
});

describe("a stream whose client does not read", () => {
  /** A stream that is blocked: it has no socket, so nothing takes what is written. */
  async function openBlocked() {
    const timers = new VirtualClock();
    const store = await openMemoryStore();
    const head = await Head.open(store, createWatchHub({ clock: timers, random: () => 0.5 }));
    onTestFinished(async () => {
      await head.close();
      await store.close();
    });
    const change = create(RecordSchema, { kind: { case: "environment", value: { name: "production" } } });
    const changes = [{ id: environmentId("production"), after: change }];
    const result = await store.commit({ timeMs: 0, author: "test", comment: "", changes, preconditions: [] });
    await head.reached(result.kind === "committed" ? result.revision : 0n);
    const seen = { stalls: 0, listeners: 0 };
    const onStalled = (): void => {
      seen.stalls += 1;
    };
    const onChange = (): (() => void) => {
      seen.listeners += 1;
      return () => {
        seen.listeners -= 1;
      };
    };
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    const configs = new FlagConfigs(head, timers);
    const access = { isAdmitted: () => true, onChange };
    const followed = { configs, environment: "production", lastEventId: undefined, access };
    new EventStream({ ...followed, clock: timers, random: () => 0.5, stallTimeoutMs: 20_000, onStalled }, response);
    while (!response.writableNeedDrain) await timers.advance(30_000);
    return { timers, response, seen };
  }

  it("cuts it off, and holds little for it", async () => {
    const { timers, response, seen } = await openBlocked();
    const held = response.writableLength;
    for (let silences = 0; silences < 10; silences += 1) await timers.advance(30_000);
    expect(seen).toEqual({ stalls: 1, listeners: 1 });
    expect(response.writableLength).toBe(held);
    response.emit("close");
    expect(seen.listeners).toBe(0);
    expect(timers.pendingTimers).toBe(0);
  });

  it("goes on where it reads in time", async () => {
    const { timers, response, seen } = await openBlocked();
    const held = response.writableLength;
    await timers.advance(19_999);
    response.emit("drain");
    await timers.advance(30_000);
    expect(response.writableLength).toBeGreaterThan(held);
    expect(seen.stalls).toBe(0);
    response.emit("close");
  });
});
