import { parseArgs } from "node:util";
import { measureAllocation } from "./allocation/measure-allocation.js";
import { measureBulk } from "./bulk/measure-bulk.js";
import { type Comparison, compareRun, confirmed, worseOf } from "./comparison/compare-run.js";
import {
  figuresFile,
  type Origin,
  readFigures,
  type SavedFigures,
  saveFigures,
  withRun,
} from "./comparison/figures-file.js";
import { measureEvaluations } from "./evaluations/measure-evaluations.js";
import { measureFanout } from "./fanout/measure-fanout.js";
import { measureHerd } from "./herd/measure-herd.js";
import { measureOfrep } from "./ofrep/measure-ofrep.js";
import { measurePropagation } from "./propagation/measure-propagation.js";
import { describeMachine } from "./report/machine.js";
import type { ComparedColumn, Section } from "./report/section.js";
import { type Report, toMarkdown } from "./report/to-markdown.js";
import { measureScale } from "./scale/measure-scale.js";
import { measureStart } from "./start/measure-start.js";
import { dataRoot } from "./support/temp-directory.js";
import { measureSync } from "./sync/measure-sync.js";
import { measureTraces } from "./traces/measure-traces.js";
import { measureUnary } from "./unary/measure-unary.js";
import { measureWrites } from "./writes/measure-writes.js";

const benches: Readonly<Record<string, () => Promise<readonly Section[]>>> = {
  evaluations: async () => [await measureEvaluations()],
  allocation: async () => [await measureAllocation()],
  scale: measureScale,
  unary: async () => [withUnaryColumns(await measureUnary())],
  traces: async () => [await measureTraces()],
  bulk: async () => [await measureBulk()],
  ofrep: async () => [await measureOfrep()],
  propagation: async () => [await measurePropagation()],
  fanout: measureFanout,
  herd: async () => [await measureHerd()],
  sync: async () => [await measureSync()],
  writes: async () => [await measureWrites()],
  start: async () => [await measureStart()],
};

/** Calls a second depend on what else runs on the machine; the processor time of a call hardly. */
const unaryColumns: readonly ComparedColumn[] = [
  { column: "of the bare echo", better: "higher", tolerance: 1.2 },
  { column: "server's processor time of one", better: "lower", over: "bare `node:http2` echo" },
];

function withUnaryColumns(section: Section): Section {
  const bare = section.rows.flatMap(([row]) => (typeof row === "string" && row.startsWith("bare ") ? [row] : []));
  return { compared: unaryColumns, references: bare, ...section };
}

const usage = `usage: npm run bench -- [--json] [--check | --save] [--only NAME ...]

  --json       one JSON document instead of Markdown
  --check      exit code 1 if a figure is worse than the last committed one, twice in a row
  --save       make the figures of this run the ones to commit, in bench/figures.json; on an idle machine
  --only NAME  only this bench: ${Object.keys(benches).join(", ")}
  --help       print this
`;

interface Options {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly check: boolean;
  readonly save: boolean;
  readonly help: boolean;
}

/** Runs the benches one after the other; progress goes to standard error. Returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) return 2;
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const saved = await readFigures(figuresFile);
  const machine = describeMachine(dataRoot);
  const startedAt = performance.now();
  const sections = await measure(options.names);
  const first = compareRun(sections, saved);
  const comparison = options.check ? await lookAgain(first, saved) : first;
  const command = `npm run bench${args.length > 0 ? ` -- ${args.join(" ")}` : ""}`;
  const durationMs = Math.round(performance.now() - startedAt);
  const report: Report = { command, machine, durationMs, sections, comparison };
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `\n${toMarkdown(report)}`);
  const { date, node, cpu, loadAverage } = machine;
  const origin: Origin = { date, node, cpu, command, loadAverage };
  if (options.save) await saveFigures(figuresFile, withRun(saved, comparison.figures, origin));
  return options.check && worseOf(comparison).length > 0 ? 1 : 0;
}

async function measure(names: readonly string[]): Promise<Section[]> {
  const sections: Section[] = [];
  for (const name of names) {
    const startedAt = performance.now();
    process.stderr.write(`${name} …`);
    sections.push(...((await benches[name]?.()) ?? []));
    process.stderr.write(` ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  }
  return sections;
}

/** Measures once more where something is worse: what only one of two runs shows is the machine's doing. */
async function lookAgain(first: Comparison, saved: SavedFigures): Promise<Comparison> {
  const names = new Set(worseOf(first).map(({ section }) => benchOf(section)));
  return names.size === 0 ? first : confirmed(first, compareRun(await measure([...names]), saved));
}

/** The bench that makes a section: sections are named after it, with what they show after a colon. */
function benchOf(section: string): string {
  return section.split(":")[0] ?? section;
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        save: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: Object.keys(benches) },
      },
    });
    const { only: names, json, check, save, help } = values;
    const unknown = names.filter((name) => !Object.hasOwn(benches, name));
    if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}`);
    if (check && save) throw new Error("what is checked must not be replaced: give --check or --save");
    return { names, json, check, save, help };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return undefined;
  }
}

process.exitCode = await run(process.argv.slice(2));
