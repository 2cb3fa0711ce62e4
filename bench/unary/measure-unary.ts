import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { workloadFlags } from "../evaluations/workloads.js";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { type CorePlan, planCores } from "../support/cores.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { openService } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import {
  connections,
  measureTarget,
  roundMs,
  startClients,
  streams,
  type Target,
  toTarget,
  warmUp,
} from "./load-target.js";
import type { ReferenceKind } from "./reference-server.js";

const rounds = 5;

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
    for (const target of targets) await warmUp(target, clients);
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
