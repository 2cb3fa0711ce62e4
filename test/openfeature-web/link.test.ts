import { expect, it, onTestFinished, vi } from "vitest";
import { toEnvelope } from "../../src/openfeature-web/envelopes.js";
import type { WebProviderOptions } from "../../src/openfeature-web/index.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { MemoryStorage, openPage, type Page } from "./web-support.js";

// Servers that do what one cannot be made to do when a test wants it.

const ann = { targetingKey: "ann" };
const answer = (flagKey: string, value: string) => ({ flagKey, value, variant: value, reason: "STATIC" });
const full = (...evaluations: object[]) => ({ update: { full: true, evaluations, revision: "1" } });
const update = (...evaluations: object[]) => ({ update: { evaluations, revision: "2" } });

/** A stream of these messages, which then stays open, or is cut off after so long. */
function stream(clock: VirtualClock, messages: readonly object[], cutOffAfterMs?: number): Response {
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    for (const message of messages) controller.enqueue(toEnvelope(JSON.stringify(message)));
    if (cutOffAfterMs !== undefined) clock.after(cutOffAfterMs, () => controller.close());
  };
  return new Response(new ReadableStream({ start }), { headers: { "content-type": "application/connect+json" } });
}

interface Fake {
  readonly clock: VirtualClock;
  readonly page: Page;
  /** The methods that were called. */
  readonly methods: string[];
}

/** A page whose calls are answered by `answerTo`, which is told how many of that method came before. */
function openFake(
  answerTo: (method: string, before: number, clock: VirtualClock) => Promise<Response> | Response,
  options: WebProviderOptions = {},
): Fake {
  const clock = new VirtualClock();
  const methods: string[] = [];
  const fetch = async (url: string): Promise<Response> => {
    const method = url.replace(/.*\//, "");
    const before = methods.filter((name) => name === method).length;
    methods.push(method);
    return answerTo(method, before, clock);
  };
  const timeouts = { staleAfterMs: 60_000 };
  return { clock, methods, page: openPage({ address: "flags.test", clock, fetch, timeouts, ...options }, ann) };
}

it("a goodbye is followed by another stream when it says, however often one comes", async () => {
  const goodbye = [full(answer("a", "1")), { goodbye: { retryAfter: "7s" } }];
  const { clock, methods } = openFake((_method, _before, time) => stream(time, goodbye, 0));
  await clock.advance(6_900);
  expect(methods).toHaveLength(1);
  await clock.advance(30_000);
  expect(methods.length).toBeGreaterThan(3);
  expect(new Set(methods)).toEqual(new Set(["WatchEvaluations"]));
});

it("streams that live for a while are good, however often they are cut off", async () => {
  const { clock, methods } = openFake((_method, _before, time) => stream(time, [full(answer("a", "1"))], 11_000));
  await clock.advance(100_000);
  expect(methods.length).toBeGreaterThan(5);
  expect(new Set(methods)).toEqual(new Set(["WatchEvaluations"]));
});

it("a server that is lost for the second time is told of as the first time", async () => {
  const { clock, page } = openFake(
    (_method, before, time) =>
      before % 10 === 0 ? stream(time, [full(answer("a", "1"))], 11_000) : new Response("", { status: 503 }),
    { timeouts: { staleAfterMs: 1_000 }, backoff: { minMs: 1_000, maxMs: 1_000 } },
  );
  await clock.advance(60_000);
  expect(page.seen.slice(0, 4)).toEqual(["ready", "stale", "ready", "stale"]);
});

it.each([
  ["what a proxy says of a server that is away", 502, ["WatchEvaluations", "WatchEvaluations"]],
  ["a stream that nobody knows, where polls fail too", 404, ["WatchEvaluations", "BulkEvaluate", "WatchEvaluations"]],
])("%s is followed by another stream", async (_name, status, expected) => {
  const { clock, methods } = openFake(() => new Response("<html>", { status }));
  await clock.advance(200);
  expect(methods.slice(0, expected.length)).toEqual(expected);
});

it("all answers take the place of those before, and what changed is stored", async () => {
  const storage = new MemoryStorage();
  const streams = [
    (time: VirtualClock) => stream(time, [full(answer("a", "1"), answer("b", "1"))], 20_000),
    (time: VirtualClock) => stream(time, [full(answer("b", "1")), update(answer("b", "2"))]),
  ];
  const { clock, page } = openFake((_method, before, time) => streams[before]?.(time) ?? Response.error(), { storage });
  await clock.advance(25_000);
  expect(page.seen).toEqual(["ready", "configuration_changed:a", "configuration_changed:b"]);
  expect(page.client.getStringDetails("a", "?").errorCode).toBe("FLAG_NOT_FOUND");
  expect(page.client.getStringValue("b", "?")).toBe("2");
  const stored = JSON.stringify([...storage.items]);
  expect(stored).toContain('\\"value\\":\\"2\\"');
  expect(stored).not.toContain('\\"value\\":\\"1\\"');
});

it("values of other attributes are given no longer when the new ones cannot be had", async () => {
  const { clock, page } = openFake((_method, before, time) =>
    before === 0 ? stream(time, [full(answer("a", "1"))]) : new Response("", { status: 503 }),
  );
  await clock.advance(100);
  const changed = page.setContext({ ...ann, plan: "pro" });
  await clock.advance(100);
  await changed;
  expect(page.seen).toEqual(["ready", "reconciling", "error"]);
  expect(page.client.getStringDetails("a", "?")).toMatchObject({ value: "?", errorCode: "PROVIDER_NOT_READY" });
});

it("a start that another context overtakes ends as that one does", async () => {
  const { clock, page } = openFake((_method, before, time) =>
    before === 0 ? new Promise<Response>(() => {}) : stream(time, [full(answer("a", "bob's"))]),
  );
  await clock.advance(100);
  const changed = page.setContext({ targetingKey: "bob" });
  await clock.advance(100);
  await changed;
  expect(await page.started).toBe("ready");
  expect(page.client.getStringValue("a", "?")).toBe("bob's");
});

it("a poll that is not due yet comes no sooner because the browser says that it is online", async () => {
  const tells: (() => void)[] = [];
  vi.stubGlobal("addEventListener", (_event: string, tell: () => void) => tells.push(tell));
  onTestFinished(() => void vi.unstubAllGlobals());
  const { clock, methods } = openFake(() => Response.json({ evaluations: [], revision: "1" }), { follow: "poll" });
  await clock.advance(100);
  for (const tell of tells) tell();
  await clock.advance(10_000);
  expect([tells.length, methods.length]).toEqual([1, 1]);
});
