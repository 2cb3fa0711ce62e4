import { CommitLog, checkHistory, tellViolation, type Violation } from "../history-checker/index.js";
import { countSeen } from "./count-seen.js";
import { CHECKED_LIMITS, MOST_PAUSE_MS, PROMPT_MS, planOf, QUIET_MS } from "./plan.js";
import { STEPS } from "./steps.js";
import { World } from "./world.js";

/** What came of a run. */
export interface RunReport {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** How often each thing happened. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Runs the whole system from a seed: the same seed, the same run. `tell` is told the story. */
export async function simulate(seed: number, tell?: (text: string) => void): Promise<RunReport> {
  const plan = planOf(seed);
  const world = new World(plan, tell);
  const { chance, clock } = world;
  await world.begin();
  for (let step = 0; step < plan.steps; step++) {
    const name = chance.weighted(plan.weights);
    world.count(name);
    STEPS[name](world);
    await clock.advance(chance.is(0.6) ? 0 : chance.integer(0, plan.maxPauseMs));
  }
  await calmDown(world);
  const violations = check(world);
  violations.push(...(await leave(world)));
  for (const violation of violations) world.tell(tellViolation(violation));
  return { seed, violations, counts: world.counts };
}

/** Everything works again, and nobody writes any more. */
async function calmDown(world: World): Promise<void> {
  const { clock, cluster, disk, links } = world;
  world.tell("all faults end");
  Object.assign(disk.manners, { maxSyncMs: 0, failsNext: "no", freeBytes: Number.POSITIVE_INFINITY });
  for (const link of links) {
    Object.assign(link.manners, { maxDelayMs: 0, isRefused: false, tampering: undefined });
    link.thaw();
  }
  await clock.advance(QUIET_MS);
  if (world.pendingWrites > 0) world.violate("acknowledged", "a writer", "it waits for ever");
  if (cluster.workers.length !== world.plan.workers) world.violate("converged", "the server", "a worker is missing");
}

function check(world: World): Violation[] {
  const { epoch, cluster, plan } = world;
  const log = new CommitLog(world.epochs);
  const newest = log.epochs.get(epoch.epoch);
  const final = { epoch: epoch.epoch, revision: newest?.newest ?? 0 };
  for (const { name, head } of cluster.workers) {
    if (head.epoch === final.epoch && Number(head.revision) === final.revision) continue;
    world.violate(
      "converged",
      name,
      `it is at revision ${head.revision} of ${head.epoch}, not at ${final.revision} of ${final.epoch}`,
    );
  }
  const exists = (environment: string): boolean =>
    newest?.environment(environment)?.at(final.revision)?.exists === true;
  for (const { environment, link } of world.watchers) {
    if (!exists(environment)) continue;
    const records = world.network.records.filter(({ client, once }) => !once && client.startsWith(`${link.client} on`));
    // A stream that was recycled a moment ago counts: the next has not begun.
    const last = records.find(({ end }) => end === undefined) ?? records.at(-1);
    if (last === undefined || (last.end && last.end.at < world.clock.monotonicMs() - MOST_PAUSE_MS)) {
      world.violate("converged", link.client, "it has no stream");
    } else last.live = true;
  }
  for (const mirror of world.mirrors) {
    mirror.look(world.chance.pick(plan.flagKeys));
    if (!exists(mirror.environment)) continue;
    mirror.record.live = true;
    if (mirror.status !== "ready") world.violate("converged", mirror.link.client, `it is ${mirror.status}`);
  }
  const { writes, evaluations } = world;
  const streams = world.network.records;
  const history = { writes, evaluations, streams, mirrors: world.mirrorRecords, final };
  countSeen(world);
  const changeMs = plan.maxLagMs === 0 ? PROMPT_MS : Number.POSITIVE_INFINITY;
  const limits = { ...CHECKED_LIMITS, changeMs, keptIdempotencyKeys: plan.store.history.maxEntries };
  return [...checkHistory(history, log, limits)];
}

/** Everybody goes; nothing may be left. */
async function leave(world: World): Promise<readonly Violation[]> {
  const { clock, cluster } = world;
  const hubs = cluster.workers.map(({ hub }) => hub);
  for (const watcher of world.watchers) watcher.close();
  for (const mirror of world.mirrors) void mirror.close();
  await clock.advance(6_000);
  const watching = hubs.reduce((sum, hub) => sum + hub.counts().watchers, 0);
  if (watching > 0) world.violate("ended", "the server", `${watching} watchers are left`);
  const open = world.links.reduce((sum, link) => sum + link.openStreams, 0);
  if (open > 0) world.violate("ended", "the clients", `${open} streams are left`);
  const ending = cluster.end();
  await clock.advance(1_000);
  await ending;
  if (clock.pendingTimers > 0) world.violate("ended", "the run", `${clock.pendingTimers} timers are left`);
  return world.violations;
}
