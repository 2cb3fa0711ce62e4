import { readdirSync, readFileSync } from "node:fs";
import { pause, until } from "./pause.js";
import type { Run } from "./run.js";

/** The processes that a process has started; Linux only. */
export function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      // "pid (name) state parent …", where the name may hold anything.
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) === pid && state !== "Z") children.push(Number(name));
    } catch {}
  }
  return children;
}

/** The workers that serve, as the supervisor's log names them. One that is killed before counts as one that cannot start. */
function servingWorkers({ server }: Run): number[] {
  const pids = [...server.errors.matchAll(/"pid":(\d+),"msg":"a worker serves"/g)].map(([, pid]) => Number(pid));
  const alive = childrenOf(server.pid);
  return pids.filter((pid) => alive.includes(pid));
}

/** Kills random workers of a server at random moments of its writing, and sometimes the supervisor, with all of them. */
export async function killWorkers(run: Run, kills: number): Promise<{ workers: number; supervisors: number }> {
  const outcome = { workers: 0, supervisors: 0 };
  const { server, chance } = run;
  const count = servingWorkers(run).length;
  for (let kill = 0; kill < kills; kill++) {
    await run.acknowledgedMore(chance.between(1, 40));
    await pause(chance.between(0, 15));
    if (chance.happens(0.2)) {
      const orphans = childrenOf(server.pid);
      await server.kill();
      await until("no worker outlives its supervisor", () => orphans.every((pid) => !isAlive(pid)));
      await server.start();
      await until("all serve", () => servingWorkers(run).length === count);
      outcome.supervisors++;
    } else {
      process.kill(chance.oneOf(servingWorkers(run)), "SIGKILL");
      await run.until("it is replaced", () => servingWorkers(run).length === count);
      outcome.workers++;
    }
  }
  return outcome;
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}
