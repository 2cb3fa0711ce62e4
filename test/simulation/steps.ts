import { TransportError } from "../../src/client/index.js";
import type { StepName } from "./plan.js";
import { TAMPERINGS } from "./tamper.js";
import type { World } from "./world.js";

const MOST_WATCHERS = 5;
const MOST_MIRRORS = 3;

/** What may happen. A step that makes no sense at the time does nothing. */
export const STEPS: { readonly [name in StepName]: (world: World) => void } = {
  write: (world) => world.write(),
  burst: (world) => {
    for (let left = world.chance.integer(2, 8); left > 0; left--) world.write();
  },
  evaluate: (world) => {
    const { chance, plan } = world;
    if (world.cluster.workers.length > 0) world.evaluate(chance.pick(world.cluster.workers));
    if (world.mirrors.size > 0) chance.pick([...world.mirrors]).look(chance.pick(plan.flagKeys));
  },
  poll: (world) => {
    if (world.watchers.size > 0) void world.chance.pick([...world.watchers]).poll();
  },
  wait: () => {},
  "open watcher": (world) => {
    if (world.watchers.size < MOST_WATCHERS) world.openWatcher();
  },
  "close watcher": (world) => {
    if (world.watchers.size === 0) return;
    const watcher = world.chance.pick([...world.watchers]);
    world.watchers.delete(watcher);
    watcher.close();
    world.tell(`${watcher.link.client} goes`);
  },
  "mislead watcher": (world) => {
    if (world.watchers.size === 0) return;
    const watcher = world.chance.pick([...world.watchers]);
    world.tell(`${watcher.link.client} will ask for ${watcher.mislead()}`);
    watcher.link.cut();
  },
  "open mirror": (world) => {
    if (world.mirrors.size < MOST_MIRRORS) world.openMirror();
  },
  "close mirror": (world) => {
    if (world.mirrors.size === 0) return;
    const mirror = world.chance.pick([...world.mirrors]);
    world.mirrors.delete(mirror);
    void mirror.close();
    world.tell(`${mirror.link.client} goes`);
  },
  cut: (world) => {
    onLink(world, "is cut", (link) => link.cut());
  },
  freeze: (world) => {
    onLink(world, "is half open", ({ manners }) => {
      manners.isFrozen = true;
    });
  },
  thaw: (world) => {
    for (const link of world.links) link.thaw();
    world.tell("nothing is half open any more");
  },
  slow: (world) => {
    onLink(world, "is slow, or fast again", ({ manners }) => {
      manners.maxDelayMs = manners.maxDelayMs > 0 ? 0 : world.chance.pick([5, 50, 500]);
    });
  },
  refuse: (world) => {
    onLink(world, "cannot connect, or can again", ({ manners }) => {
      manners.isRefused = !manners.isRefused;
    });
  },
  tamper: (world) => {
    if (world.mirrors.size === 0) return;
    const { link } = world.chance.pick([...world.mirrors]);
    link.manners.tampering = world.chance.pick(TAMPERINGS);
    world.tell(`${link.client}: ${link.manners.tampering}`);
    // So that there is something to be tampered with.
    if (world.chance.is(0.5)) link.cut(new TransportError("UNAVAILABLE", "connection reset"));
  },
  "crash worker": (world) => {
    if (world.cluster.workers.length > 0) world.cluster.crashWorker(world.chance.pick(world.cluster.workers));
  },
  "stop worker": (world) => {
    if (world.cluster.workers.length > 0) world.cluster.stopWorker(world.chance.pick(world.cluster.workers));
  },
  "crash server": ({ cluster }) => {
    if (cluster.isUp) cluster.crash();
  },
  "stop server": ({ cluster }) => cluster.stop(),
  backup: (world) => {
    const backup = world.disk.backup();
    world.backups.push(backup);
    world.tell(`a backup is made of revision ${backup.revision}`);
  },
  restore: (world) => {
    if (world.backups.length > 0) world.restore(world.chance.pick(world.backups));
  },
  "fail disk": ({ disk, chance, tell }) => {
    disk.manners.failsNext = chance.pick(["lost", "kept"]);
    tell(`the next sync fails; what it writes is ${disk.manners.failsNext}`);
  },
  "fill disk": ({ disk, tell }) => {
    disk.manners.freeBytes = disk.manners.freeBytes === 0 ? Number.POSITIVE_INFINITY : 0;
    tell(disk.manners.freeBytes === 0 ? "the disk is full" : "the disk has space again");
  },
  "slow disk": ({ disk, chance, tell }) => {
    disk.manners.maxSyncMs = chance.pick([0, 3, 30, 300]);
    tell(`a sync takes up to ${disk.manners.maxSyncMs} ms`);
  },
  "jump clock": ({ clock, chance }) => clock.jump(chance.pick([-3_600_000, -1_000, 1_000, 86_400_000])),
};

function onLink(world: World, what: string, action: (link: World["links"][number]) => void): void {
  if (world.links.length === 0) return;
  const link = world.chance.pick(world.links);
  action(link);
  world.tell(`${link.client} ${what}`);
}
