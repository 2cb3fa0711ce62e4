import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { workloadFlags } from "../evaluations/workloads.js";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { type CorePlan, planCores, processorTimeMs } from "../support/cores.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { openService } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import type { LoadOrder, LoadResult } from "./load-client.js";
import type { ReferenceKind } from "./reference-server.js";

const rounds = 5;
const warmUpMs = 700;
const roundMs = 1_000;
const connections = 2;
const streams = 8;

interface Target {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  readonly answers: LoadOrder["answers"];
  readonly perSecond: number[];
  /** How much of a core the server used, in percent. */
  readonly serverLoad: number[];
  /** Processor time of the server for one call, in microseconds. */
  readonly callCost: number[];
  /** How much of a core the busiest client used, in percent. */
  readonly clientLoad: number[];
}

const references: readonly (readonly [kind: ReferenceKind, name: string])[] = [
  ["echo", "bare `node:http2` echo"],
  ["echo-with-trailers", "bare `node:http2` echo with gRPC's trailers"],
  ["grpc-js", "bare grpc-js, a handler that does nothing"],
];

/** Unary Evaluate calls per second on one core, beside what Node can do at all. */
export async function measureUnary(): Promise<Section> {
  const plan = planCores();
  const children: ChildProcess[] = [];
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(workloadFlags));
  await using service = await openService({ data: join(directory.path, "data"), seed, cores: plan?.server });
  try {
    const flagwire = toTarget("Flagwire `Evaluate`", service.pid, service.address, "evaluate");
    const targets = [flagwire, ...(await startReferences(children, plan))];
    const clients = await startClients(children, plan);
    for (const target of targets) await loadTarget(target, clients, warmUpMs);
    for (let round = 0; round < rounds; round++) for (const target of targets) await measureTarget(target, clients);
    return toSection(targets, clients.length, plan !== undefined);
  } finally {
    await Promise.all(children.map((child) => stopProcess(child)));
  }
}

async function startReferences(children: ChildProcess[], plan: CorePlan | undefined): Promise<Target[]> {
  const targets: Target[] = [];
  for (const [kind, name] of references) {
    const child = startProcess({ module: "unary/reference-server.js", args: [kind], cores: plan?.server });
    children.push(child);
    const { port } = await ask<{ port: number }>(child, undefined);
    targets.push(toTarget(name, child.pid ?? 0, `127.0.0.1:${port}`, "echo"));
  }
  return targets;
}

/** As many as there are other cores, three at most. */
async function startClients(children: ChildProcess[], plan: CorePlan | undefined): Promise<ChildProcess[]> {
  const count = Math.max(1, Math.min(3, plan?.clients.length ?? availableParallelism() - 1));
  const clients: ChildProcess[] = [];
  for (let index = 0; index < count; index++) {
    const client = startProcess({ module: "unary/load-client.js", cores: plan?.clients });
    children.push(client);
    clients.push(client);
    await ask(client, undefined);
  }
  return clients;
}

function toTarget(name: string, pid: number, address: string, answers: LoadOrder["answers"]): Target {
  return { name, pid, address, answers, perSecond: [], serverLoad: [], callCost: [], clientLoad: [] };
}

async function loadTarget(target: Target, clients: readonly ChildProcess[], durationMs: number): Promise<LoadResult[]> {
  const { address, answers } = target;
  const order: LoadOrder = { address, answers, durationMs, connections, streams };
  const results = await Promise.all(clients.map((client) => ask<LoadResult>(client, order)));
  const failures = results.reduce((sum, result) => sum + result.failures, 0);
  if (failures > 0) throw new Error(`${failures} calls of ${target.name} failed`);
  return results;
}

async function measureTarget(target: Target, clients: readonly ChildProcess[]): Promise<void> {
  const before = processorTimeMs(target.pid);
  const startedAt = performance.now();
  const results = await loadTarget(target, clients, roundMs);
  const elapsedMs = performance.now() - startedAt;
  const usedMs = processorTimeMs(target.pid) - before;
  const calls = results.reduce((sum, result) => sum + result.calls, 0);
  target.perSecond.push((calls * 1000) / roundMs);
  target.serverLoad.push((usedMs * 100) / elapsedMs);
  target.callCost.push((usedMs * 1000) / calls);
  target.clientLoad.push((Math.max(...results.map(({ processorMs }) => processorMs)) * 100) / elapsedMs);
}

function toSection(targets: readonly Target[], clientCount: number, isPinned: boolean): Section {
  const echo = targets[1]?.perSecond ?? [];
  const busiestClient = Math.max(...targets.flatMap(({ clientLoad }) => clientLoad));
  const concurrency = clientCount * connections * streams;
  return {
    name: "unary",
    title: "Unary calls over gRPC, the server on one core",
    columns: ["server", "calls a second", "of the bare echo", "server's processor time of one", "its core in use"],
    rows: targets.map(({ name, perSecond, callCost, serverLoad }) => [
      name,
      toMeasure("per-second", perSecond),
      toRatio(perSecond, echo),
      toMeasure("microseconds", callCost),
      toMeasure("percent", serverLoad),
    ]),
    notes: [
      isPinned
        ? "Every server is pinned to the same core with `taskset`, its clients to the others."
        : "Servers are not pinned to a core, because there is no `taskset`; each is one Node process.",
      `${clientCount} client processes of raw \`node:http2\` with requests encoded ahead of time, ${concurrency} calls at a time on ${clientCount * connections} connections; the servers take turns in rounds of ${roundMs} ms. Every call's status is checked, and answers by sample. The busiest client used ${Math.round(busiestClient)} % of a core.`,
      "Where a core was less than about 95 % in use, something else ran on it; the processor time of a call is then the better figure.",
    ],
  };
}
