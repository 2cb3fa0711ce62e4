import { expect, test } from "vitest";
import { Announcements } from "../../src/server/state/announcements.js";
import { HeadCursor, type HeadNews } from "../../src/server/state/head-cursor.js";
import { VirtualClock } from "../support/virtual-clock.js";

function follow(options: { silenceMs?: number } = {}) {
  const announcements = new Announcements();
  const clock = new VirtualClock();
  let value: { name: string } | undefined = { name: "first" };
  let calls = 0;
  const silenceMs = options.silenceMs ?? 1_000;
  const cursor = new HeadCursor({ announcements, clock, silenceMs, read: () => value }, () => {
    calls += 1;
  });
  return {
    cursor,
    clock,
    announcements,
    set(next: { name: string } | undefined) {
      value = next;
      announcements.announce();
    },
    calls: () => calls,
  };
}

/** Announcements are made in a later turn. */
const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("the first news is what is there", () => {
  const { cursor } = follow();
  expect(cursor.next()).toEqual({ kind: "moved", now: { name: "first" }, before: undefined });
  expect(cursor.next()).toBeUndefined();
});

test("who has asked in vain is called once, and skips what came between", async () => {
  const { cursor, set, calls } = follow();
  cursor.next();
  cursor.next();
  set({ name: "second" });
  set({ name: "third" });
  await nextTurn();
  expect(calls()).toBe(1);
  expect(cursor.next()).toEqual({ kind: "moved", now: { name: "third" }, before: { name: "first" } });
});

test("who is busy is not called, and sees what is new when it asks", async () => {
  const { cursor, set, calls } = follow();
  cursor.next();
  set({ name: "second" });
  await nextTurn();
  expect(calls()).toBe(0);
  expect(cursor.next()).toMatchObject({ now: { name: "second" } });
});

test("silence is told also where moves are not worth a message", async () => {
  const { cursor, set, clock } = follow({ silenceMs: 1_000 });
  const told: (HeadNews<object> | undefined)[] = [cursor.next(), cursor.next()];
  for (const name of ["a", "b", "c"]) {
    await clock.advance(400);
    set({ name });
    await nextTurn();
    told.push(cursor.next(), cursor.next());
  }
  expect(told.map((news) => news?.kind)).toContain("silence");
});

test("what was told begins the silence anew", async () => {
  const { cursor, clock } = follow({ silenceMs: 1_000 });
  cursor.next();
  await clock.advance(900);
  cursor.told();
  await clock.advance(900);
  expect(cursor.next()).toBeUndefined();
  await clock.advance(100);
  expect(cursor.next()).toEqual({ kind: "silence" });
});

test.each([
  ["gone", (one: ReturnType<typeof follow>) => one.set(undefined)],
  ["closing", (one: ReturnType<typeof follow>) => one.announcements.end()],
])("%s is the last news", async (kind, end) => {
  const one = follow();
  one.cursor.next();
  one.cursor.next();
  end(one);
  await nextTurn();
  expect(one.calls()).toBe(1);
  expect(one.cursor.next()).toEqual({ kind });
  expect(one.cursor.ended).toBe(true);
  expect(one.cursor.next()).toBeUndefined();
});

test("a cursor that is closed is called no more and holds no timer", async () => {
  const { cursor, set, calls, clock } = follow();
  cursor.next();
  cursor.next();
  cursor.close();
  set({ name: "second" });
  await clock.advance(10_000);
  await nextTurn();
  expect(calls()).toBe(0);
});

test("thousands are told in slices, and those who leave meanwhile are not", async () => {
  const announcements = new Announcements();
  const told: number[] = [];
  const leave = Array.from({ length: 300 }, (_, number) => announcements.subscribe(() => told.push(number)));
  announcements.announce();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThan(300);
  leave[299]?.();
  while (told.length < 299) await nextTurn();
  await nextTurn();
  expect(told).not.toContain(299);
});
