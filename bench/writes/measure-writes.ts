import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { planCores } from "../support/cores.js";
import { createFlagFile } from "../support/many-flags.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { openService, serviceTakes } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { openWriter, type Writer } from "../support/writer.js";
import { type Lanes, runLanes } from "./run-lanes.js";

const rounds = 7;
const roundMs = 700;
const warmUpMs = 1_000;
const writerCount = 64;
const workers = 3;
const asBare = "as bare writes to LMDB";

/** Writes a second, round by round, for one writer and for many. */
type Rates = ReadonlyMap<number, number[]>;

interface Samples {
  readonly service: Rates;
  readonly bare: Rates;
  /** How much of a core this process, which is that of the writers, used for many of them, in percent; round by round. */
  readonly writersLoad: number[];
}

/** Durable writes a second through the API. */
export async function measureWrites(): Promise<Section> {
  const servers: readonly (readonly [name: string, args: readonly string[]])[] = [
    ["Flagwire", []],
    ...((planCores()?.clients.length ?? 0) >= workers && (await serviceTakes("--workers"))
      ? [[`Flagwire, \`--workers ${workers}\``, ["--workers", String(workers)]] as const]
      : []),
  ];
  const rows: Cell[][] = [];
  const loads: number[] = [];
  for (const [name, args] of servers) {
    const samples = await measureBeside(args);
    rows.push(...toRows(name, samples));
    loads.push(...samples.writersLoad);
  }
  return toSection(rows, servers.length > 1, Math.max(...loads));
}

/** The service and bare LMDB in turn, on the same file system. */
async function measureBeside(args: readonly string[]): Promise<Samples> {
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(createFlagFile(writerCount)));
  await using service = await openService({ data: join(directory.path, "data"), seed, args });
  const bareWriter = startProcess({ module: "writes/bare-writer.js", args: [join(directory.path, "bare")] });
  const writers = Array.from({ length: writerCount }, (_, index) =>
    openWriter(service.address, `team-${index % 50}.feature-${index}`),
  );
  try {
    await ask(bareWriter, undefined);
    // Some flags are as this makes them already, and that is no change; from then on every write is one.
    await Promise.all(writers.map((writer) => writer.write()));
    const rates: Samples = { service: createRates(), bare: createRates(), writersLoad: [] };
    const revisions = createRevisions();
    for (const count of [1, writerCount]) {
      const writeAll = (durationMs: number) => writeThrough(writers, { count, durationMs }, revisions);
      const writeBare = (durationMs: number) => ask<number>(bareWriter, { count, durationMs });
      await writeAll(warmUpMs);
      await writeBare(warmUpMs);
      for (let round = 0; round < rounds; round++) {
        const before = process.cpuUsage();
        rates.service.get(count)?.push(await writeAll(roundMs));
        const { user, system } = process.cpuUsage(before);
        if (count > 1) rates.writersLoad.push((user + system) / 10 / roundMs);
        rates.bare.get(count)?.push(await writeBare(roundMs));
      }
    }
    revisions.verify();
    return rates;
  } finally {
    for (const writer of writers) writer[Symbol.dispose]();
    await stopProcess(bareWriter);
  }
}

function writeThrough(writers: readonly Writer[], lanes: Lanes, revisions: Revisions): Promise<number> {
  return runLanes(lanes, async (lane) => {
    const writer = writers[lane];
    if (writer === undefined) throw new Error(`there is no writer ${lane}`);
    revisions.add((await writer.write()).revision);
  });
}

/** Each write is one revision, and nobody else writes. */
interface Revisions {
  add(revision: number): void;
  verify(): void;
}

function createRevisions(): Revisions {
  const seen: number[] = [];
  return {
    add: (revision) => seen.push(revision),
    verify() {
      seen.sort((a, b) => a - b);
      const gap = seen.findIndex((revision, index) => index > 0 && revision !== (seen[index - 1] ?? 0) + 1);
      if (gap !== -1) throw new Error(`revision ${seen[gap]} came after ${seen[gap - 1]}`);
    },
  };
}

function createRates(): Rates {
  return new Map([1, writerCount].map((count) => [count, []]));
}

function toRows(name: string, { service, bare }: Samples): Cell[][] {
  return [1, writerCount].flatMap((count): Cell[][] => {
    const through = service.get(count) ?? [];
    const beside = bare.get(count) ?? [];
    const writers = count === 1 ? "one writer" : `${count} writers`;
    return [
      [`${name}, ${writers}`, toMeasure("per-second", through), toRatio(through, beside)],
      [`bare LMDB beside ${name}, ${writers}`, toMeasure("per-second", beside), toRatio(beside, beside)],
    ];
  });
}

function toSection(rows: readonly (readonly Cell[])[], withWorkers: boolean, writersLoad: number): Section {
  return {
    name: "writes",
    title: "Durable writes",
    columns: ["writers", "writes a second", asBare],
    rows,
    notes: [
      `\`UpdateTargeting\`, each writer with a flag and a connection of its own, one call after the other; the bare writes are one \`put\` of 4 KiB in one transaction each, awaited one after the other in as many lanes, with the store's options and on its file system. They take turns in rounds of ${roundMs} ms. Where many wait, LMDB syncs once for all of them.`,
      `Every call was answered with a revision of its own, and there was none in between. Writers, server and bare writer are three processes; none is pinned to a core. That of the ${writerCount} writers used at most ${Math.round(writersLoad)} % of one.`,
      ...(withWorkers
        ? []
        : ["Not measured with `--workers`: there is no such option, or there are fewer than four cores."]),
    ],
    compared: [{ column: asBare, better: "higher", tolerance: 1.5 }],
    references: rows.flatMap(([row]) => (typeof row === "string" && row.startsWith("bare ") ? [row] : [])),
  };
}
