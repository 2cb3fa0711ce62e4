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
import type { LoadResult } from "../unary/load-client.js";
import type { LoadOrder } from "./load-client.js";
import type { QuestionKind } from "./requests.js";

const rounds = 5;
const warmUpMs = 1_500;
const roundMs = 1_000;
const connections = 16;

interface Target {
  readonly name: string;
  readonly kind: QuestionKind;
  readonly pid: number;
  readonly address: string;
  readonly perSecond: number[];
  /** Processor time of the server for one call, in microseconds. */
  readonly callCost: number[];
  /** How much of a core the server used, in percent. */
  readonly serverLoad: number[];
}

/** OFREP's answers per second on one core, beside what `node:http` can do at all and what Connect's JSON does. */
export async function measureOfrep(): Promise<Section> {
  const plan = planCores();
  const children: ChildProcess[] = [];
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(workloadFlags));
  await using service = await openService({ data: join(directory.path, "data"), seed, cores: plan?.server });
  try {
    const echo = startProcess({ module: "ofrep/echo-server.js", cores: plan?.server });
    children.push(echo);
    const { port } = await ask<{ port: number }>(echo, undefined);
    const targets = [
      toTarget("Flagwire OFREP, one flag", "ofrep", service.pid, service.address),
      toTarget("bare `node:http` echo", "echo", echo.pid ?? 0, `127.0.0.1:${port}`),
      toTarget("Flagwire `Evaluate` by Connect's JSON", "connect", service.pid, service.address),
    ];
    const clients = await startClients(children, plan);
    for (const target of targets) await loadTarget(target, clients, warmUpMs);
    for (let round = 0; round < rounds; round++) for (const target of targets) await measureTarget(target, clients);
    return toSection(targets, clients.length, plan !== undefined);
  } finally {
    await Promise.all(children.map((child) => stopProcess(child)));
  }
}

function toTarget(name: string, kind: QuestionKind, pid: number, address: string): Target {
  return { name, kind, pid, address, perSecond: [], callCost: [], serverLoad: [] };
}

/** As many as there are other cores, three at most. */
async function startClients(children: ChildProcess[], plan: CorePlan | undefined): Promise<ChildProcess[]> {
  const count = Math.max(1, Math.min(3, plan?.clients.length ?? availableParallelism() - 1));
  const clients: ChildProcess[] = [];
  for (let index = 0; index < count; index++) {
    const client = startProcess({ module: "ofrep/load-client.js", cores: plan?.clients });
    children.push(client);
    clients.push(client);
    await ask(client, undefined);
  }
  return clients;
}

async function loadTarget(target: Target, clients: readonly ChildProcess[], durationMs: number): Promise<LoadResult[]> {
  const { address, kind } = target;
  const order: LoadOrder = { address, kind, durationMs, connections };
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
  target.callCost.push((usedMs * 1000) / calls);
  target.serverLoad.push((usedMs * 100) / elapsedMs);
}

function toSection(targets: readonly Target[], clientCount: number, isPinned: boolean): Section {
  const echo = targets.find(({ kind }) => kind === "echo")?.perSecond ?? [];
  return {
    name: "ofrep",
    title: "OFREP over HTTP/1.1, the server on one core",
    columns: ["server", "calls a second", "of the bare echo", "server's processor time of one", "its core in use"],
    compared: [
      { column: "of the bare echo", better: "higher", tolerance: 1.2 },
      { column: "server's processor time of one", better: "lower", over: "bare `node:http` echo" },
    ],
    references: ["bare `node:http` echo"],
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
      `${clientCount} client processes of bare TCP with requests made ahead of time, ${clientCount * connections} connections with one call at a time each; the servers take turns in rounds of ${roundMs} ms. The echo sends back the body that it got, of about the same size as an answer. Every call's status and length are checked, and answers by sample.`,
    ],
  };
}
