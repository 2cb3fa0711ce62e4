import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { workloadFlags } from "../evaluations/workloads.js";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { type CorePlan, planCores } from "../support/cores.js";
import { stopProcess } from "../support/processes.js";
import { openService, type Service } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { measureTarget, roundMs, startClients, type Target, toTarget, warmUp } from "../unary/load-target.js";

const rounds = 7;

/** Each with the share of traces that it records. */
const servers: readonly (readonly [name: string, share: string | undefined])[] = [
  ["not traced", undefined],
  ["traced, nothing recorded", "0"],
  ["traced, one in a hundred", "0.01"],
  ["traced, all recorded", "1"],
];

/** What traces cost a server that is asked for nothing else. */
export async function measureTraces(): Promise<Section> {
  const plan = planCores();
  const children: ChildProcess[] = [];
  const services: Service[] = [];
  await using directory = await openTempDirectory();
  await using collector = await openCollector();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(workloadFlags));
  try {
    const targets: Target[] = [];
    for (const [name, share] of servers) {
      const args = share === undefined ? [] : ["--otlp", collector.url, "--otlp-sample", share];
      const data = join(directory.path, `data-${targets.length}`);
      const service = await openService({ data, seed, cores: plan?.server, args });
      services.push(service);
      targets.push(toTarget(name, service.pid, service.address, "evaluate"));
    }
    const clients = await startClients(children, plan);
    for (const target of targets) await warmUp(target, clients);
    for (let round = 0; round < rounds; round++) for (const target of targets) await measureTarget(target, clients);
    return toSection(targets, plan);
  } finally {
    await Promise.all(children.map((child) => stopProcess(child)));
    for (const service of services) await service[Symbol.asyncDispose]();
  }
}

/** Takes everything, in this process. */
async function openCollector(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toSection(targets: readonly Target[], plan: CorePlan | undefined): Section {
  const plain = targets[0]?.callCost ?? [];
  return {
    name: "traces",
    title: "`Evaluate` with traces, the server on one core",
    columns: ["server", "calls a second", "server's processor time of one", "of the one that is not traced"],
    rows: targets.map(({ name, perSecond, callCost }) => [
      name,
      toMeasure("per-second", perSecond),
      toMeasure("microseconds", callCost),
      toRatio(callCost, plain),
    ]),
    notes: [
      `No client sends a \`traceparent\`; the servers take turns in rounds of ${roundMs} ms${plan === undefined ? "" : ", pinned to the same core"}. The export is part of it, to a collector on this machine; spans beyond what the queue holds are dropped, as ever.`,
    ],
  };
}
