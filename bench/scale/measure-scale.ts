import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { JsonObject } from "@bufbuild/protobuf";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { expandEnumNames, type JsonProblem } from "../../src/base/index.js";
import { toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { startProcess, stopProcess } from "../support/processes.js";
import { openTempDirectory } from "../support/temp-directory.js";
import type { LookupRounds, ScaleResult } from "./scale.js";
import { type ScaleCase, scaleCases } from "./scale-cases.js";

const processes = 3;
const asParse = "load, as `JSON.parse`";
const inHashes = "time, as murmur3s";

interface Sampled {
  readonly name: string;
  readonly results: readonly ScaleResult[];
}

/** What many flags, targeting keys, values and members of a segment cost in a mirror. */
export async function measureScale(): Promise<Section[]> {
  await using directory = await openTempDirectory();
  const sampled: Sampled[] = [];
  for (const [key, scaled] of Object.entries(scaleCases)) {
    sampled.push({ name: scaled.name, results: await sample(key, scaled, directory.path) });
  }
  return [toLoadSection(sampled), toLookupSection(sampled)];
}

async function sample(key: string, { few, many, toFile }: ScaleCase, directory: string): Promise<ScaleResult[]> {
  const paths = [few, many].map((count) => join(directory, `${key}-${count}.json`));
  const [fewPath = "", manyPath = ""] = paths;
  await writeFile(fewPath, toText(toFile(few)));
  await writeFile(manyPath, toText(toFile(many)));
  const results: ScaleResult[] = [];
  for (let index = 0; index < processes; index++) results.push(await runOnce([key, fewPath, manyPath]));
  return results;
}

/** As `flagwire export` writes it: a bootstrap takes no short names. Throws for a file that is none. */
function toText(file: JsonObject): string {
  const problems: JsonProblem[] = [];
  const expanded = expandEnumNames(FlagFileSchema, file, "", problems);
  if (problems.length > 0) throw new Error(`${problems[0]?.place}: ${problems[0]?.description}`);
  return JSON.stringify(expanded);
}

async function runOnce(args: readonly string[]): Promise<ScaleResult> {
  const nodeOptions = ["--expose-gc"];
  const child = startProcess({ module: "scale/scale.js", args, nodeOptions, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const output = child.stdout === null ? "" : await text(child.stdout);
    if (output === "") throw new Error("scale.js failed");
    return JSON.parse(output) as ScaleResult;
  } finally {
    await stopProcess(child);
  }
}

function toLoadSection(sampled: readonly Sampled[]): Section {
  const toRow = ({ name, results }: Sampled): Cell[] => {
    const of = (figure: (result: ScaleResult) => number): readonly number[] => results.map(figure);
    const loads = of(({ loadMs }) => loadMs);
    const parses = of(({ parseMs }) => parseMs);
    const heaps = of(({ before, after }) => after.heapUsed - before.heapUsed);
    const residents = of(({ before, after }) => after.rss - before.rss);
    return [
      name,
      { unit: "bytes", value: results[0]?.fileBytes ?? Number.NaN },
      toMeasure("milliseconds", loads),
      toMeasure("milliseconds", parses),
      toRatio(loads, parses),
      toMeasure("bytes", heaps),
      toMeasure("bytes", residents),
    ];
  };
  return {
    name: "scale: load",
    title: "Large flag files in a mirror: what loading costs",
    columns: ["file", "size", "load", "reading and `JSON.parse`", asParse, "heap added", "resident memory added"],
    rows: sampled.map(toRow),
    notes: [
      `\`openMirror\` with the file as its bootstrap, until it answers, and memory after a garbage collection; ${processes} processes of their own for each file. Reading and parsing the same file as JSON is a part of it.`,
    ],
    compared: [
      { column: asParse, better: "lower", tolerance: 1.2 },
      { column: "heap added", better: "lower" },
    ],
  };
}

function toLookupSection(sampled: readonly Sampled[]): Section {
  const toRow = (name: string, results: readonly ScaleResult[], of: (result: ScaleResult) => LookupRounds): Cell[] => {
    const few = results.flatMap((result) => of(result).few);
    const many = results.flatMap((result) => of(result).many);
    const hashes = results.flatMap(({ murmur3 }) => murmur3);
    return [
      name,
      toMeasure("nanoseconds", many),
      toMeasure("nanoseconds", few),
      toRatio(many, few),
      toRatio(many, hashes),
    ];
  };
  return {
    name: "scale: lookups",
    title: "Large flag files in a mirror: what an evaluation costs",
    columns: ["evaluation", "time of one", "with 10 instead", "ratio", inHashes],
    rows: sampled.flatMap(({ name, results }) => [
      toRow(`${name}: a member`, results, ({ member }) => member),
      toRow(`${name}: not a member`, results, ({ stranger }) => stranger),
    ]),
    notes: [
      "`flags.boolean` for 1,000 contexts in turn, in two mirrors of one process: the file, and the same with 10 of what it has many of. Members are spread over the whole list; with 10 they are always the same ten, which stay in the processor's cache.",
    ],
    compared: [{ column: inHashes, better: "lower" }],
  };
}
