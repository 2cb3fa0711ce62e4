import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Measure, toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { residentBytes } from "../support/cores.js";
import { createFlagFile } from "../support/many-flags.js";
import type { Memory } from "../support/memory.js";
import { openMirrorProcess } from "../support/mirror.js";
import type { MirrorOpened } from "../support/mirror-process.js";
import { ask, startProcess, stopProcess } from "../support/processes.js";
import { freePort, openService, untilReady } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";

const flagCount = 10_000;
const rounds = 5;

/** How a server starts on a data directory, and a mirror on that server. */
interface Samples {
  readonly name: string;
  readonly data: string;
  readonly readyMs: number[];
  readonly residentBytes: number[];
  readonly heapBytes: number[];
  readonly mirrors: MirrorOpened[];
}

/** A Node process that does nothing but listen, started as the others are. */
interface BareSamples {
  readonly readyMs: number[];
  readonly residentBytes: number[];
  readonly heapBytes: number[];
}

/** Start time and memory, with many flags and with none. */
export async function measureStart(): Promise<Section> {
  await using directory = await openTempDirectory();
  const many = toSamples(`${(flagCount + 1).toLocaleString("en-US")} flags`, join(directory.path, "many"));
  const few = toSamples("1 flag", join(directory.path, "few"));
  const importMs = await seed(many.data, flagCount, directory.path);
  await seed(few.data, 0, directory.path);
  const bare: BareSamples = { readyMs: [], residentBytes: [], heapBytes: [] };
  for (let round = 0; round < rounds; round++) {
    await sampleBare(bare);
    for (const samples of [few, many]) {
      await sampleStart(samples);
      await sampleMemory(samples);
    }
  }
  return {
    name: "start",
    title: `Start and memory with ${flagCount.toLocaleString("en-US")} flags`,
    columns: ["figure", "bare Node", few.name, many.name, "ratio", asBare(few), asBare(many)],
    rows: toRows(bare, few, many),
    notes: [
      `The server is \`flagwire serve\` on an existing data directory; ready is \`/readyz\` answering 200, asked every millisecond. Before, starting it empty and importing the ${flagCount.toLocaleString("en-US")} flags took ${Math.round(importMs)} ms, once.`,
      "Every round is a new process. Heaps are after a garbage collection, the server's in a start of its own; resident memory is as the process has it.",
      "Bare Node is a process that imports `node:http` and answers 200, started and asked in the same way.",
    ],
    compared: [
      { column: asBare(few), better: "lower", tolerance: 1.2 },
      { column: asBare(many), better: "lower", tolerance: 1.2 },
    ],
  };
}

function toSamples(name: string, data: string): Samples {
  return { name, data, readyMs: [], residentBytes: [], heapBytes: [], mirrors: [] };
}

/** Fills a data directory; returns how long the server took to start and import, in milliseconds. */
async function seed(data: string, flags: number, directory: string): Promise<number> {
  const path = join(directory, `${flags}.json`);
  await writeFile(path, JSON.stringify(createFlagFile(flags)));
  await using service = await openService({ data, seed: path });
  return service.servingAfterMs;
}

async function sampleStart(samples: Samples): Promise<void> {
  await using service = await openService({ data: samples.data });
  samples.readyMs.push(service.readyAfterMs);
  samples.residentBytes.push(residentBytes(service.pid));
  await using mirror = await openMirrorProcess(service.address);
  samples.mirrors.push(mirror.opened);
}

async function sampleMemory(samples: Samples): Promise<void> {
  const probe = new URL("../support/memory-probe.js", import.meta.url).href;
  await using service = await openService({ data: samples.data, nodeOptions: ["--expose-gc", "--import", probe] });
  samples.heapBytes.push((await ask<Memory>(service.process, {})).heapUsed);
}

async function sampleBare(samples: BareSamples): Promise<void> {
  const port = await freePort();
  const args = [String(port)];
  const startedAt = performance.now();
  const child = startProcess({ module: "start/bare-server.js", args, nodeOptions: ["--expose-gc"] });
  try {
    samples.readyMs.push((await untilReady(child, port)) - startedAt);
    samples.residentBytes.push(residentBytes(child.pid ?? 0));
    samples.heapBytes.push((await ask<Memory>(child, {})).heapUsed);
  } finally {
    await stopProcess(child);
  }
}

function asBare({ name }: Samples): string {
  return `${name}, as bare Node`;
}

function toRows(bare: BareSamples, few: Samples, many: Samples): Cell[][] {
  const row = (
    name: string,
    unit: Measure["unit"],
    ofBare: readonly number[],
    of: (samples: Samples) => readonly number[],
  ): Cell[] => [
    name,
    toMeasure(unit, ofBare),
    toMeasure(unit, of(few)),
    toMeasure(unit, of(many)),
    toRatio(of(many), of(few)),
    toRatio(of(few), ofBare),
    toRatio(of(many), ofBare),
  ];
  const mirrors = (of: (opened: MirrorOpened) => number) => (samples: Samples) => samples.mirrors.map(of);
  const { readyMs, residentBytes, heapBytes } = bare;
  return [
    row("server: start to ready", "milliseconds", readyMs, (samples) => samples.readyMs),
    row("server: resident memory once it serves", "bytes", residentBytes, (samples) => samples.residentBytes),
    row("server: heap in use", "bytes", heapBytes, (samples) => samples.heapBytes),
    row(
      "mirror: `openMirror` until synced",
      "milliseconds",
      readyMs,
      mirrors(({ openMs }) => openMs),
    ),
    row(
      "mirror: resident memory after it",
      "bytes",
      residentBytes,
      mirrors(({ after }) => after.rss),
    ),
    row(
      "mirror: heap in use after it",
      "bytes",
      heapBytes,
      mirrors(({ after }) => after.heapUsed),
    ),
    row(
      "mirror: heap it added",
      "bytes",
      heapBytes,
      mirrors(({ before, after }) => after.heapUsed - before.heapUsed),
    ),
  ];
}
