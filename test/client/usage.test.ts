import { afterEach, beforeEach, expect, it } from "vitest";
import { type Mirror, openMirror } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag, deletedFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

let mirror: Mirror;
let publisher: Publisher;

beforeEach(async () => {
  const clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1, "off"), booleanFlag("c", 1)]);
  mirror = await openMirror({ transport: new HubTransport(hub), clock, random: () => 0.5 });
});

afterEach(() => mirror.close());

function ask(key: string, times: number): void {
  for (let time = 0; time < times; time++) mirror.boolean(key, false);
}

/** The usage as `flag variant × count @ revision`, sorted. */
function usage(): string[] {
  return mirror
    .takeUsage()
    .map(({ flagKey, variant, count, revision }) => `${flagKey} ${variant} × ${count} @ ${revision}`)
    .sort();
}

/** Commits, and waits until the mirror has it. */
async function commit(...items: Parameters<Publisher["commit"]>): Promise<void> {
  publisher.commit(...items);
  await expect.poll(() => mirror.revision).toBe(publisher.revision);
}

it("counts every evaluation by flag and variant", () => {
  ask("a", 3);
  ask("b", 2);
  mirror.details("b", false);
  expect(usage()).toEqual(["a on × 3 @ 1", "b off × 3 @ 1"]);
});

it("is taken once", () => {
  ask("a", 1);
  usage();
  expect(usage()).toEqual([]);
  ask("a", 1);
  expect(usage()).toEqual(["a on × 1 @ 1"]);
});

it("survives changes of the flag, of others, and its end", async () => {
  ask("a", 2);
  ask("c", 1);
  await commit(booleanFlag("a", 2, "off"));
  ask("a", 4);
  await commit(deletedFlag("c"));
  expect(usage()).toEqual(["a off × 4 @ 3", "a on × 2 @ 1", "c on × 1 @ 2"]);
});

it("adds up what was answered at several revisions, at the newest of them", async () => {
  ask("a", 1);
  await commit(booleanFlag("a", 2));
  ask("a", 1);
  await commit(booleanFlag("a", 3));
  ask("a", 1);
  expect(usage()).toEqual(["a on × 3 @ 3"]);
});

it("does not count what no flag answered", () => {
  mirror.boolean("nope", true);
  mirror.string("a", "another type");
  mirror.details("a", "another type");
  expect(usage()).toEqual([]);
});
