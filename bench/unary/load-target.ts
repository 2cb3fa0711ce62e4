import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { type CorePlan, processorTimeMs } from "../support/cores.js";
import { ask, startProcess } from "../support/processes.js";
import type { LoadOrder, LoadResult } from "./load-client.js";

const warmUpMs = 700;
export const roundMs = 1_000;
/** Of each client. */
export const connections = 2;
/** Calls at a time on each connection. */
export const streams = 8;

/** A server that calls are made to, and what was measured of it in each round. */
export interface Target {
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

/** As many as there are other cores, three at most. */
export async function startClients(children: ChildProcess[], plan: CorePlan | undefined): Promise<ChildProcess[]> {
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

export function toTarget(name: string, pid: number, address: string, answers: LoadOrder["answers"]): Target {
  return { name, pid, address, answers, perSecond: [], serverLoad: [], callCost: [], clientLoad: [] };
}

/** Until the server's code is compiled. */
export async function warmUp(target: Target, clients: readonly ChildProcess[]): Promise<void> {
  await loadTarget(target, clients, warmUpMs);
}

async function loadTarget(target: Target, clients: readonly ChildProcess[], durationMs: number): Promise<LoadResult[]> {
  const { address, answers } = target;
  const order: LoadOrder = { address, answers, durationMs, connections, streams };
  const results = await Promise.all(clients.map((client) => ask<LoadResult>(client, order)));
  const failures = results.reduce((sum, result) => sum + result.failures, 0);
  if (failures > 0) throw new Error(`${failures} calls of ${target.name} failed`);
  return results;
}

/** One round. */
export async function measureTarget(target: Target, clients: readonly ChildProcess[]): Promise<void> {
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
