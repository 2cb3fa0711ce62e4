import { beforeEach, describe, expect, it } from "vitest";
import { Visibility } from "../../src/cluster/visibility.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

/** A worker, as far as others can tell what it shows. */
class Shown {
  revision = 1n;
  heardAtMs = 0;

  silentMs(nowMs: number): number {
    return nowMs - this.heardAtMs;
  }
}

let clock: VirtualClock;
let visibility: Visibility<Shown>;
let leftOut: Shown[];
let one: Shown;
let other: Shown;

beforeEach(() => {
  clock = new VirtualClock();
  leftOut = [];
  visibility = new Visibility(clock, (worker) => leftOut.push(worker));
  one = open();
  other = open();
});

function open(): Shown {
  const worker = new Shown();
  visibility.moved(worker);
  return worker;
}

/** A worker says that it shows a revision. */
function show(worker: Shown, revision: bigint): void {
  worker.revision = revision;
  worker.heardAtMs = clock.monotonicMs();
  visibility.moved(worker);
}

/** Waits for a revision; the function that it gives tells whether it is seen by all. */
function wait(revision: bigint): () => Promise<boolean> {
  let isSeen = false;
  void visibility.seenByAll(revision).then(() => {
    isSeen = true;
  });
  return async () => {
    await settle();
    return isSeen;
  };
}

describe("a revision", () => {
  it("is seen by all when every worker shows it, or a later one", async () => {
    const isSeen = wait(2n);
    show(one, 2n);
    expect(await isSeen()).toBe(false);
    show(other, 3n);
    expect(await isSeen()).toBe(true);
    expect(await wait(2n)()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("is seen by all where there is no worker", async () => {
    visibility.forget(one);
    visibility.forget(other);
    expect(await wait(2n)()).toBe(true);
  });

  it("is waited for at a worker that opens meanwhile", async () => {
    const isSeen = wait(2n);
    const third = open();
    show(one, 2n);
    show(other, 2n);
    expect(await isSeen()).toBe(false);
    show(third, 2n);
    expect(await isSeen()).toBe(true);
  });

  it("is not waited for at a worker that has ended", async () => {
    const isSeen = wait(2n);
    show(one, 2n);
    visibility.forget(other);
    expect(await isSeen()).toBe(true);
  });

  it("may take long, as long as nobody shows it", async () => {
    const isSeen = wait(2n);
    await clock.advance(2_900);
    expect(await isSeen()).toBe(false);
    show(one, 2n);
    await clock.advance(900);
    show(other, 2n);
    expect(await isSeen()).toBe(true);
    expect(leftOut).toEqual([]);
  });
});

describe("a worker", () => {
  it("is left out that shows a revision a second later than the first, until it does", async () => {
    const isSeen = wait(3n);
    show(one, 3n);
    await clock.advance(999);
    expect(await isSeen()).toBe(false);
    await clock.advance(1);
    expect(await isSeen()).toBe(true);
    expect(leftOut).toEqual([other]);
    show(other, 2n);
    const next = wait(4n);
    show(one, 4n);
    expect(await next()).toBe(true);
    show(other, 3n);
    const last = wait(5n);
    show(one, 5n);
    expect(await last()).toBe(false);
    show(other, 5n);
    expect(await last()).toBe(true);
  });

  it("is left out while it is silent, and no longer", async () => {
    await clock.advance(4_000);
    show(one, 2n);
    expect(await wait(2n)()).toBe(true);
    other.heardAtMs = clock.monotonicMs();
    expect(await wait(2n)()).toBe(false);
    expect(leftOut).toEqual([]);
  });
});
