import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BareOrder } from "../fanout/bare-fanout.js";
import { quantile, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { type CorePlan, forgetPeak, peakBytes, planCores } from "../support/cores.js";
import { createFlagFile } from "../support/many-flags.js";
import { monotonicMs } from "../support/monotonic.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { freePort, openService, type Service, type ServiceOptions } from "../support/service.js";
import { settledBytes } from "../support/settled.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { openWriter } from "../support/writer.js";
import { apart, mayBeApart, shared, watcherCount } from "../watchers/layouts.js";
import { readUpdate } from "../watchers/read-update.js";
import type { GroupOptions, Synced, WatchPosition } from "../watchers/watcher-group.js";
import { startWatchers, type WatcherProcesses } from "../watchers/watchers.js";

const flagCount = 1_000;
const missedChanges = 10;
const asBare = "all synced, as bare `node:http2`";
const group = "herd";

/** What a herd did to a server. */
interface Herd {
  readonly synced: Synced;
  /** From when all began to connect until each had its first update whole; in milliseconds. */
  readonly syncedAfterMs: readonly number[];
  /** Resident memory of the server: before, at most, and in the end with its watchers; in bytes. */
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  /** Attempts to connect that the system dropped because too many waited to be accepted: tried again after 1, 3, 7 s. */
  readonly dropped: number;
}

/** Ten thousand watchers whose server was killed, and who all come back at once. */
export async function measureHerd(): Promise<Section> {
  const plan = planCores();
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(createFlagFile(flagCount - 1)));
  await using watchers = await startWatchers(3, plan?.clients);
  const data = join(directory.path, "data");
  const options: ServiceOptions = { data, seed, cores: plan?.server, port: await freePort() };
  let service = await openService(options);
  try {
    const rows: Cell[][] = [];
    const { position } = await watchers.open(group, { ...toGroup(service.address), atATime: 96 });
    for (const from of [position, undefined]) {
      await watchers.abandon(group);
      await kill(service.process);
      service = await openService(options);
      await writeSome(service.address);
      const herd = await measureOne(service, watchers, group, from);
      verify(herd.synced, from);
      const update = await readUpdate(service.address, from);
      const bare = await measureBare(update, plan, watchers);
      const name = from === undefined ? "from scratch" : `with a position, ${missedChanges} changes ago`;
      rows.push(toRow(name, herd, bare), toRow(`bare \`node:http2\`, ${name}`, bare, bare));
    }
    return toSection(rows, plan !== undefined);
  } finally {
    await watchers.abandon(group);
    await kill(service.process);
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function writeSome(address: string): Promise<void> {
  using writer = openWriter(address);
  for (let index = 0; index < missedChanges; index++) await writer.write();
}

async function measureOne(
  { pid, address }: Pick<Service, "pid" | "address">,
  watchers: WatcherProcesses,
  name: string,
  position: WatchPosition | undefined,
): Promise<Herd> {
  const before = await settledBytes(pid);
  forgetPeak(pid);
  const droppedBefore = droppedConnections();
  const startedAtMs = monotonicMs();
  const synced = await watchers.open(name, { ...toGroup(address), position });
  const after = await settledBytes(pid);
  const syncedAfterMs = synced.atMs.map((ms) => ms - startedAtMs);
  return { synced, syncedAfterMs, before, peak: peakBytes(pid), after, dropped: droppedConnections() - droppedBefore };
}

/** A server that sends as many bytes to whoever comes. */
async function measureBare(update: Buffer, plan: CorePlan | undefined, watchers: WatcherProcesses): Promise<Herd> {
  const child = startProcess({ module: "fanout/bare-fanout.js", args: ["http2"], cores: plan?.server });
  try {
    const { port } = await ask<{ port: number }>(child, undefined);
    const order: BareOrder = { message: update.toString("base64") };
    await ask(child, order);
    const bare = { pid: child.pid ?? Number.NaN, address: `127.0.0.1:${port}` };
    return await measureOne(bare, watchers, "bare", undefined);
  } finally {
    await watchers.close("bare");
    await stopProcess(child);
  }
}

/** Of the whole system, since its start; NaN where it does not tell. */
function droppedConnections(): number {
  try {
    const [names = [], values = []] = readFileSync("/proc/net/netstat", "utf8")
      .split("\n")
      .filter((line) => line.startsWith("TcpExt:"))
      .map((line) => line.split(" "));
    return Number(values[names.indexOf("ListenDrops")]);
  } catch {
    return Number.NaN;
  }
}

function verify({ watchers, fulls, deltas, items }: Synced, from: WatchPosition | undefined): void {
  const whole = from === undefined ? fulls : deltas;
  // All changes were of one flag; a snapshot has one segment too.
  const itemsEach = from === undefined ? flagCount + 1 : 1;
  if (watchers !== watcherCount || whole !== watcherCount || items !== watcherCount * itemsEach) {
    throw new Error(`${watchers} watchers received ${fulls} snapshots and ${deltas} deltas with ${items} items`);
  }
}

function toGroup(address: string): GroupOptions {
  const { connections, streams } = mayBeApart() ? apart : shared;
  return { address, connections, streams, atATime: connections };
}

function toRow(name: string, { synced, syncedAfterMs, before, peak, after, dropped }: Herd, bare: Herd): Cell[] {
  const last = syncedAfterMs.reduce((a, b) => Math.max(a, b));
  const lastOfBare = bare.syncedAfterMs.reduce((a, b) => Math.max(a, b));
  return [
    name,
    { unit: "bytes", value: synced.bytes / synced.watchers },
    { unit: "milliseconds", value: quantile(syncedAfterMs, 0.5) },
    { unit: "milliseconds", value: last },
    toRatio([last], [lastOfBare]),
    { unit: "bytes", value: before },
    { unit: "bytes", value: peak - before },
    { unit: "bytes", value: after - before },
    { unit: "count", value: synced.failures },
    { unit: "count", value: dropped },
  ];
}

function toSection(rows: readonly (readonly Cell[])[], isPinned: boolean): Section {
  return {
    name: "herd",
    title: "10,000 watchers come back at once",
    columns: [
      "watchers",
      "update of each",
      "half synced",
      "all synced",
      asBare,
      "server's memory before",
      "more at most",
      "more in the end",
      "connections lost on the way",
      "attempts dropped",
    ],
    rows,
    notes: [
      `A server of ${flagCount.toLocaleString("en-US")} flags is killed with SIGKILL under its watchers, is started again and changes a flag ${missedChanges} times; then all watchers, of ${(mayBeApart() ? apart : shared).name}, connect in the same moment, and again, 100 ms later, if that fails. Time is from that moment until an update was there whole, with all its items.`,
      "The bare server sends each as many bytes as it comes, in one message. Attempts are dropped by the system where too many connections wait to be accepted; it tries them again after 1, 3, 7 and 15 s. Memory is resident; nothing makes a server collect garbage. In the end: with all watchers, idle.",
      isPinned
        ? "The servers are pinned to one core with `taskset`, three processes of watchers to the others."
        : "Nothing is pinned to a core, because there is no `taskset`.",
    ],
    compared: [{ column: asBare, better: "lower", tolerance: 1.5 }],
    references: rows.flatMap(([row]) => (typeof row === "string" && row.startsWith("bare ") ? [row] : [])),
  };
}
