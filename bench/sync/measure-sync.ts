import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { planCores } from "../support/cores.js";
import { createFlagFile } from "../support/many-flags.js";
import { openMirrorProcess } from "../support/mirror.js";
import type { MirrorOpened } from "../support/mirror-process.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { openService, type ServiceOptions } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import type { Synced } from "../watchers/watcher-group.js";
import { startWatchers, type WatcherProcesses } from "../watchers/watchers.js";
import type { BareUpdate } from "./bare-client.js";

const flagCount = 20_000;
const rounds = 5;
const starts = 3;
const asBare = "time, as a bare client";

/** One first update, received and not decoded. */
interface Reception {
  readonly receivedMs: number;
  readonly synced: Synced;
}

/** A mirror's first update of many flags. */
export async function measureSync(): Promise<Section> {
  const plan = planCores();
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  // The switched flag is one more.
  await writeFile(seed, JSON.stringify(createFlagFile(flagCount - 1)));
  await using watchers = await startWatchers(1, plan?.clients);
  const data = join(directory.path, "data");
  const options: ServiceOptions = { data, seed, cores: plan?.server };
  const importing = await openService(options);
  await stopProcess(importing.process);
  const first: Reception[] = [];
  const later: Reception[] = [];
  const bare: BareUpdate[] = [];
  const mirrors: MirrorOpened[] = [];
  for (let start = 0; start < starts; start++) {
    await using service = await openService(options);
    first.push(await receive(service.address, watchers));
    if (start > 0) continue;
    for (let round = 0; round < rounds; round++) {
      later.push(await receive(service.address, watchers));
      bare.push(await readBare(service.address, plan?.clients));
      mirrors.push(await openMirrorOnce(service.address, plan?.clients));
    }
  }
  return toSection({ first, later, bare, mirrors }, plan !== undefined);
}

async function receive(address: string, watchers: WatcherProcesses): Promise<Reception> {
  const startedAt = performance.now();
  const synced = await watchers.open("one", { address, connections: 1, streams: 1, atATime: 1 });
  const receivedMs = performance.now() - startedAt;
  await watchers.close("one");
  // The segment is an item too.
  if (synced.fulls !== 1 || synced.items !== flagCount + 1) throw new Error(`a snapshot has ${synced.items} items`);
  return { receivedMs, synced };
}

async function readBare(address: string, cores: readonly number[] | undefined): Promise<BareUpdate> {
  const child = startProcess({ module: "sync/bare-client.js", args: [address], cores });
  try {
    const update = await ask<BareUpdate>(child, undefined);
    if (update.items !== flagCount + 1) throw new Error(`a snapshot has ${update.items} items`);
    return update;
  } finally {
    await stopProcess(child);
  }
}

async function openMirrorOnce(address: string, cores: readonly number[] | undefined): Promise<MirrorOpened> {
  await using mirror = await openMirrorProcess(address, cores);
  if (mirror.opened.flags !== flagCount) throw new Error(`the mirror has ${mirror.opened.flags} flags`);
  return mirror.opened;
}

interface Samples {
  /** The first since a server's start, and those after. */
  readonly first: readonly Reception[];
  readonly later: readonly Reception[];
  readonly bare: readonly BareUpdate[];
  readonly mirrors: readonly MirrorOpened[];
}

function toSection({ first, later, bare, mirrors }: Samples, isPinned: boolean): Section {
  const openMs = mirrors.map((opened) => opened.openMs);
  const bareMs = bare.map(({ tookMs }) => tookMs);
  const receivedMs = (receptions: readonly Reception[]) =>
    toMeasure(
      "milliseconds",
      receptions.map((one) => one.receivedMs),
    );
  const heap = mirrors.map(({ before, after }) => after.heapUsed - before.heapUsed);
  const rss = mirrors.map(({ before, after }) => after.rss - before.rss);
  const sizes = later.map(({ synced }) => synced.bytes);
  const messages = later[0]?.synced.messages ?? Number.NaN;
  const bareClient = "bare client of Connect, which decodes it";
  const rows: Cell[][] = [
    [
      "`openMirror`",
      toMeasure("milliseconds", openMs),
      toRatio(openMs, bareMs),
      toMeasure("bytes", sizes),
      toMeasure("bytes", heap),
      toMeasure("bytes", rss),
    ],
    [bareClient, toMeasure("milliseconds", bareMs), toRatio(bareMs, bareMs), "", "", ""],
    ["raw HTTP/2, which decodes nothing", receivedMs(later), "", "", "", ""],
    ["the same, the first since the server's start", receivedMs(first), "", "", "", ""],
  ];
  return {
    name: "sync",
    title: `A mirror's first update of ${flagCount.toLocaleString("en-US")} flags`,
    columns: ["client", "time", asBare, "snapshot on the wire", "heap", "resident memory"],
    rows,
    notes: [
      `The snapshot is ${messages} messages; its size is theirs with gRPC's prefixes. Time is until \`openMirror\` resolves, or the last item is there, connecting included. Mirror and bare client are each a process that has done nothing before; heap and memory are the mirror's own, after a garbage collection.`,
      `A server encodes a snapshot when it is first asked for: the last row's times are of the first after each of ${starts} starts.`,
      isPinned
        ? "The server is pinned to one core with `taskset`, the clients to the others; they take turns."
        : "Nothing is pinned to a core, because there is no `taskset`.",
    ],
    compared: [
      { column: asBare, better: "lower", tolerance: 1.3 },
      { column: "snapshot on the wire", better: "lower", tolerance: 1.02 },
      { column: "heap", better: "lower", tolerance: 1.1 },
    ],
    references: [bareClient],
  };
}
