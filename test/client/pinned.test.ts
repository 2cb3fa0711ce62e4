import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PositionSchema, type WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { Follower } from "../../src/client/follower.js";
import { type Mirror, openMirror } from "../../src/client/index.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag, deletedFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

let hub: WatchHub;
let mirror: Mirror;
let publisher: Publisher;

beforeEach(async () => {
  const clock = new VirtualClock();
  hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1, "off"), booleanFlag("c", 1)]);
  mirror = await openMirror({ transport: new HubTransport(hub), clock, random: () => 0.5 });
});

afterEach(() => mirror.close());

/** Commits, and waits until the mirror has it. */
async function commit(...items: Parameters<Publisher["commit"]>): Promise<void> {
  publisher.commit(...items);
  await expect.poll(() => mirror.revision).toBe(publisher.revision);
}

/** The usage as `flag variant × count @ revision`, sorted. */
function usage(): string[] {
  return mirror
    .takeUsage()
    .map(({ flagKey, variant, count, revision }) => `${flagKey} ${variant} × ${count} @ ${revision}`)
    .sort();
}

describe("pinned flags", () => {
  it("answer as the mirror does", () => {
    const pinned = mirror.pinned();
    expect(pinned.revision).toBe(1);
    expect(pinned.boolean("a", false)).toBe(true);
    expect(pinned.details("b", true)).toEqual(mirror.details("b", true));
    expect(pinned.explain("a", false).trace).toBeDefined();
  });

  it("go on answering from their revision while the mirror moves on", async () => {
    const pinned = mirror.pinned();
    await commit(booleanFlag("a", 2, "off"), deletedFlag("c"));
    expect([mirror.boolean("a", true), mirror.boolean("c", false)]).toEqual([false, false]);
    expect([pinned.boolean("a", false), pinned.boolean("c", false)]).toEqual([true, true]);
    expect([pinned.revision, pinned.details("a", false).revision, mirror.revision]).toEqual([1, 1, 2]);
  });

  it("go on answering after the mirror is closed", async () => {
    const pinned = mirror.pinned();
    await mirror.close();
    expect(pinned.boolean("a", false)).toBe(true);
  });

  it("answer defaults with PROVIDER_NOT_READY where they were taken before the first sync, also later", async () => {
    const clock = new VirtualClock();
    const late = await openMirror({ transport: new HubTransport(hub), clock, random: () => 0.5, waitForReady: false });
    const pinned = late.pinned();
    await expect.poll(() => late.status).toBe("ready");
    expect(late.boolean("a", false)).toBe(true);
    expect([pinned.revision, pinned.boolean("a", false)]).toEqual([0, false]);
    expect(pinned.details("a", false)).toMatchObject({ errorCode: "PROVIDER_NOT_READY", value: false });
    await late.close();
  });

  it("name the keys of their revision", async () => {
    const pinned = mirror.pinned();
    const before = mirror.keys();
    await commit(booleanFlag("new", 2));
    expect(mirror.keys()).toEqual([...before, "new"].sort());
    expect(pinned.keys()).toEqual(before);
  });
});

describe("the usage of pinned flags", () => {
  it("is the mirror's", () => {
    const pinned = mirror.pinned();
    pinned.boolean("a", false);
    mirror.boolean("a", false);
    expect(usage()).toEqual(["a on × 2 @ 1"]);
  });

  it("is counted after their revision was replaced, before the next time that it is taken and after it", async () => {
    const pinned = mirror.pinned();
    pinned.boolean("a", false);
    await commit(booleanFlag("a", 2, "off"));
    pinned.boolean("a", false);
    mirror.boolean("a", false);
    expect(usage()).toEqual(["a off × 1 @ 2", "a on × 2 @ 1"]);
    pinned.boolean("a", false);
    expect(usage()).toEqual(["a on × 1 @ 1"]);
    expect(usage()).toEqual([]);
  });

  it("is counted for flags that the replaced revisions had in common", async () => {
    const pinned = mirror.pinned();
    await commit(booleanFlag("b", 2));
    await commit(booleanFlag("a", 3, "off"));
    pinned.boolean("a", false);
    pinned.boolean("c", false);
    expect(usage()).toEqual(["a on × 1 @ 2", "c on × 1 @ 3"]);
  });

  it("is added to that of newer revisions", async () => {
    const pinned = mirror.pinned();
    await commit(booleanFlag("a", 2));
    mirror.boolean("a", false);
    await commit(booleanFlag("a", 3));
    pinned.boolean("a", false);
    expect(usage()).toEqual(["a on × 2 @ 2"]);
  });

  it("is told of the newest revision that it can be of, where an older one waits to be taken", async () => {
    mirror.pinned();
    mirror.boolean("a", false);
    await commit(booleanFlag("a", 2));
    const pinned = mirror.pinned();
    await commit(booleanFlag("b", 3));
    await commit(booleanFlag("a", 4, "off"));
    pinned.boolean("a", false);
    expect(usage()).toEqual(["a on × 2 @ 3"]);
  });
});

describe("a revision that nobody asks any more", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage: () => void = runInNewContext("gc");

  it("is let go of, and what was asked of it last is counted", async () => {
    const follower = new Follower("production");
    follower.adopt(snapshotOf(booleanFlag("a", 1), 1n), true);
    const parts = [follower.snapshot.flag("a"), follower.snapshot.flag("a")?.tallies].map(
      (part) => new WeakRef(part ?? {}),
    );
    askWhileReplaced(follower);
    follower.pinned();
    await expect
      .poll(() => {
        collectGarbage();
        return parts.every((part) => part.deref() === undefined);
      })
      .toBe(true);
    expect(follower.takeUsage()).toMatchObject([{ flagKey: "a", variant: "on", count: 1, revision: 1 }]);
  });

  function askWhileReplaced(follower: Follower): void {
    const { snapshot } = follower.pinned();
    follower.adopt(snapshotOf(booleanFlag("a", 2, "off"), 2n), true);
    const outcome = snapshot.flag("a")?.select({}, 0);
    if (outcome !== undefined) outcome.tally.count++;
  }

  function snapshotOf(flag: WatchItem, revision: bigint): Snapshot {
    const position = create(PositionSchema, { epoch: "epoch-1", revision });
    return emptySnapshot("production").apply("full", [flag], position);
  }
});
