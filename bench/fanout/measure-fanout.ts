import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Section } from "../report/section.js";
import { type CorePlan, planCores } from "../support/cores.js";
import { createFlagFile } from "../support/many-flags.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { openService, serviceTakes } from "../support/service.js";
import { settledBytes } from "../support/settled.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { openWriter } from "../support/writer.js";
import { apart, type Layout, mayBeApart, shared, watcherCount } from "../watchers/layouts.js";
import type { GroupOptions } from "../watchers/watcher-group.js";
import { startWatchers, type WatcherProcesses } from "../watchers/watchers.js";
import type { BareKind } from "./bare-fanout.js";
import { countEncodings } from "./count-encodings.js";
import type { ProbedCall, ProbeOrder } from "./evaluate-probe.js";
import {
  createSampled,
  type FanoutTarget,
  type Sampled,
  sampleChanges,
  startBare,
  toFlagwire,
} from "./fanout-target.js";
import { type CaseResult, type EvaluateTimes, toSections } from "./to-sections.js";

const blocks = 6;
const changesInBlock = 10;
const bareChangesInBlock = 4;
const probedChanges = 15;
const quietProbeMs = 1_500;
const workers = 3;

const bares: readonly (readonly [kind: BareKind, name: string])[] = [
  ["grpc-js", "bare grpc-js"],
  ["http2", "bare `node:http2`"],
];

/** A change's way to ten thousand watchers, and what they cost. */
export async function measureFanout(): Promise<readonly Section[]> {
  const plan = planCores();
  const withWorkers = (plan?.clients.length ?? 0) >= workers && (await serviceTakes("--workers"));
  const layouts = mayBeApart() ? [shared, apart] : [shared];
  const results: CaseResult[] = [];
  for (const layout of layouts) {
    results.push(await measureCase(layout, plan, undefined));
    if (withWorkers) results.push(await measureCase(layout, plan, workers));
  }
  const encodings = await countEncodings(watcherCount);
  return toSections(results, encodings, {
    isPinned: plan !== undefined,
    withWorkers,
    workers,
    blocks,
    changesInBlock,
    bareChangesInBlock,
  });
}

/** One process is pinned to one core, and its clients to the others; workers share all cores with their clients. */
async function measureCase(
  layout: Layout,
  plan: CorePlan | undefined,
  workerCount: number | undefined,
): Promise<CaseResult> {
  const serverCores = workerCount === undefined ? plan?.server : undefined;
  const clientCores = workerCount === undefined ? plan?.clients : undefined;
  const children: ChildProcess[] = [];
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(createFlagFile(10)));
  const args = workerCount === undefined ? [] : ["--workers", String(workerCount)];
  await using watchers = await startWatchers(3, clientCores);
  await using service = await openService({ data: join(directory.path, "data"), seed, cores: serverCores, args });
  using writer = openWriter(service.address);
  try {
    const name = workerCount === undefined ? "Flagwire" : `Flagwire, \`--workers ${workerCount}\``;
    const flagwire = toFlagwire(name, service.pid, watchers, writer);
    await writer.write();
    const before = await settledBytes(service.pid);
    const synced = await watchers.open(name, toGroup(service.address, layout));
    const withThem = await settledBytes(service.pid);
    const { message } = await flagwire.change();
    const references: FanoutTarget[] = [];
    for (const [kind, bare] of workerCount === undefined ? bares : bares.slice(0, 1)) {
      const bareName = workerCount === undefined ? bare : `${bare} beside \`--workers ${workerCount}\``;
      const child = startProcess({ module: "fanout/bare-fanout.js", args: [kind], cores: serverCores });
      children.push(child);
      const { port } = await ask<{ port: number }>(child, undefined);
      references.push(await startBare(bareName, child, watchers, message));
      await watchers.open(bareName, toGroup(`127.0.0.1:${port}`, layout));
    }
    const sampled = await measureInTurn([flagwire, ...references], watchers);
    const afterwards = await settledBytes(service.pid);
    const probe = startProcess({ module: "fanout/evaluate-probe.js", cores: clientCores });
    children.push(probe);
    await ask(probe, undefined);
    const evaluate = await measureEvaluate(flagwire, probe, service.address);
    const perWatcher = (bytes: number): number => (bytes - before) / synced.watchers;
    return {
      layout,
      targets: sampled,
      failures: synced.failures,
      watcherBytes: perWatcher(withThem),
      watcherBytesAfterwards: perWatcher(afterwards),
      evaluate,
    };
  } finally {
    await Promise.all(children.map((child) => stopProcess(child)));
  }
}

function toGroup(address: string, { connections, streams }: Layout): GroupOptions {
  return { address, connections, streams, atATime: 96 };
}

/** All that are compared hold their watchers all the time, and take turns. */
async function measureInTurn(
  targets: readonly FanoutTarget[],
  watchers: WatcherProcesses,
): Promise<{ readonly name: string; readonly sampled: Sampled }[]> {
  const all = targets.map((target) => ({ target, name: target.name, sampled: createSampled() }));
  for (const { target } of all) await sampleChanges(target, watchers, 3, createSampled());
  for (let block = 0; block < blocks; block++) {
    for (const [index, { target, sampled }] of all.entries()) {
      await sampleChanges(target, watchers, index === 0 ? changesInBlock : bareChangesInBlock, sampled);
    }
  }
  return all;
}

/** Calls of Evaluate while nothing changes, and those that were due in a fan-out. */
async function measureEvaluate(target: FanoutTarget, probe: ChildProcess, address: string): Promise<EvaluateTimes> {
  const start: ProbeOrder = { kind: "start", address };
  const stop: ProbeOrder = { kind: "stop" };
  await ask(probe, start);
  await delay(quietProbeMs);
  const quiet = await ask<ProbedCall[]>(probe, stop);
  const during: ProbedCall[] = [];
  await ask(probe, start);
  const fanouts: { readonly fromMs: number; readonly toMs: number }[] = [];
  for (let index = 0; index < probedChanges; index++) {
    const { atMs } = await target.change();
    fanouts.push({ fromMs: atMs.reduce((a, b) => Math.min(a, b)), toMs: atMs.reduce((a, b) => Math.max(a, b)) });
  }
  for (const call of await ask<ProbedCall[]>(probe, stop)) {
    const endsAtMs = call.dueAtMs + call.latencyMs;
    if (fanouts.some(({ fromMs, toMs }) => call.dueAtMs <= toMs && endsAtMs >= fromMs)) during.push(call);
  }
  const latencies = (calls: readonly ProbedCall[]) => calls.map(({ latencyMs }) => latencyMs);
  // The first calls meet a process that has not compiled them yet.
  return { quiet: latencies(quiet.slice(100)), during: latencies(during) };
}
