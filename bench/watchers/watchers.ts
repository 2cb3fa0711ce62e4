import type { ChildProcess } from "node:child_process";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import type { GroupOptions, Received, Synced } from "./watcher-group.js";
import type { WatcherAnswer, WatcherOrder } from "./watcher-process.js";

/** Processes full of watchers, which are shared by the servers of a bench. */
export interface WatcherProcesses extends AsyncDisposable {
  readonly count: number;
  /** Opens watchers of a server, evenly over the processes. Rejects if one sees what it must not. */
  open(group: string, options: GroupOptions): Promise<Synced>;
  /** Resolves when they are ready to see the revision, with what they will have received when all have seen it. */
  expect(group: string, revision: number): Promise<{ readonly received: Promise<Received> }>;
  /** From now on nothing that happens to them is looked at; for a server that is about to go. */
  abandon(group: string): Promise<void>;
  close(group: string): Promise<void>;
  /** What all of them used so far, in milliseconds. */
  processorMs(): Promise<number>;
}

const syncTimeoutMs = 60_000;
const changeTimeoutMs = 15_000;

export async function startWatchers(count: number, cores: readonly number[] | undefined): Promise<WatcherProcesses> {
  const children = Array.from({ length: count }, () => startProcess({ module: "watchers/watcher-process.js", cores }));
  const stop = async (): Promise<void> => {
    await Promise.all(children.map((child) => stopProcess(child)));
  };
  const order = <T>(child: ChildProcess, given: WatcherOrder): Promise<T> => ask<T>(child, given, syncTimeoutMs);
  const orderAll = <T>(given: WatcherOrder): Promise<T[]> =>
    Promise.all(children.map((child) => order<T>(child, given)));
  try {
    await Promise.all(children.map((child) => ask(child, undefined)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    count,
    async open(group, options) {
      const answers = await Promise.all(
        children.map((child, index) =>
          order<WatcherAnswer<Synced>>(child, { kind: "open", group, options: shareOf(options, index, count) }),
        ),
      );
      return answers.map(toResult).reduce(add);
    },
    async expect(group, revision) {
      const ready = await orderAll<"expecting" | WatcherAnswer<never>>({ kind: "expect", group, revision });
      for (const answer of ready) if (answer !== "expecting") toResult(answer);
      const answers = children.map((child) => ask<WatcherAnswer<Received>>(child, undefined, changeTimeoutMs));
      const received = Promise.all(answers).then((all) => all.map(toResult).reduce(merge));
      // Whoever waits for the writer first must not end the process by it.
      received.catch(() => {});
      return { received };
    },
    async abandon(group) {
      await orderAll({ kind: "abandon", group });
    },
    async close(group) {
      await orderAll({ kind: "close", group });
    },
    async processorMs() {
      const all = await orderAll<number>({ kind: "processor-time" });
      return all.reduce((sum, ms) => sum + ms, 0);
    },
    [Symbol.asyncDispose]: stop,
  };
}

function shareOf(options: GroupOptions, index: number, count: number): GroupOptions {
  const { connections, atATime } = options;
  const from = Math.floor((connections * index) / count);
  const to = Math.floor((connections * (index + 1)) / count);
  return { ...options, connections: to - from, atATime: Math.ceil(atATime / count) };
}

function toResult<T>(answer: WatcherAnswer<T>): T {
  if ("failure" in answer) throw new Error(answer.failure);
  return answer.result;
}

function add(one: Synced, other: Synced): Synced {
  return {
    position: one.position.revision > other.position.revision ? one.position : other.position,
    atMs: [...one.atMs, ...other.atMs],
    watchers: one.watchers + other.watchers,
    fulls: one.fulls + other.fulls,
    deltas: one.deltas + other.deltas,
    nones: one.nones + other.nones,
    items: one.items + other.items,
    messages: one.messages + other.messages,
    bytes: one.bytes + other.bytes,
    failures: one.failures + other.failures,
  };
}

function merge(one: Received, other: Received): Received {
  if (one.message !== other.message && one.folded + other.folded === 0) {
    throw new Error(`revision ${one.revision} came in different bytes`);
  }
  return { ...one, atMs: [...one.atMs, ...other.atMs], folded: one.folded + other.folded };
}
