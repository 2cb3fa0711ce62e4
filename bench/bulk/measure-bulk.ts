import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Measure, toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { type CorePlan, planCores, processorTimeMs } from "../support/cores.js";
import { ask, type ProcessOptions, startProcess, stopProcess } from "../support/processes.js";
import { openService } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import type { BulkAnswers, BulkLoad, BulkOrder } from "./bulk-client.js";
import { bulkCallers, bulkFlagCount, bulkFlags } from "./bulk-flags.js";
import type { MirrorRound } from "./bulk-mirror.js";

const rounds = 6;
const warmUpMs = 1_500;
const roundMs = 700;
const asCanned = "processor time, as bare `node:http2`";

/** A server under load, and what one flag of its answers costs, round by round, in nanoseconds. */
interface Target {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  readonly wall: number[];
  readonly processor: number[];
}

/** What a flag of a BulkEvaluate costs, beside the same flag in a mirror. */
export async function measureBulk(): Promise<Section> {
  const plan = planCores();
  const children: ChildProcess[] = [];
  const start = (options: ProcessOptions): ChildProcess => {
    const child = startProcess(options);
    children.push(child);
    return child;
  };
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(bulkFlags));
  await using service = await openService({ data: join(directory.path, "data"), seed, cores: plan?.server });
  try {
    const client = start({ module: "bulk/bulk-client.js", cores: plan?.clients });
    await ask(client, undefined);
    const mirror = start({ module: "bulk/bulk-mirror.js", args: [service.address], cores: plan?.clients });
    await ask(mirror, undefined);
    const answers = await order<BulkAnswers>(client, { kind: "ask", address: service.address });
    const bulk = toTarget(`\`BulkEvaluate\` of ${toCount(bulkFlagCount)} flags`, service.pid, service.address);
    const canned = await startCanned(start, plan, answers.first);
    const inMirror = await measureInTurn([bulk, canned], client, mirror);
    verify(answers, inMirror);
    return toSection([bulk, canned], inMirror, Buffer.from(answers.first, "base64").byteLength, plan !== undefined);
  } finally {
    await Promise.all(children.map((child) => stopProcess(child)));
  }
}

async function startCanned(
  start: (options: ProcessOptions) => ChildProcess,
  plan: CorePlan | undefined,
  base64: string,
): Promise<Target> {
  const child = start({ module: "bulk/canned-server.js", cores: plan?.server });
  const { port } = await ask<{ port: number }>(child, undefined);
  await ask(child, { base64 });
  return toTarget("bare `node:http2` with the same bytes", child.pid ?? 0, `127.0.0.1:${port}`);
}

function toTarget(name: string, pid: number, address: string): Target {
  return { name, pid, address, wall: [], processor: [] };
}

function order<Answer>(client: ChildProcess, message: BulkOrder): Promise<Answer> {
  return ask<Answer>(client, message);
}

async function measureInTurn(
  targets: readonly Target[],
  client: ChildProcess,
  mirror: ChildProcess,
): Promise<MirrorRound[]> {
  for (const { address } of targets) await order(client, { kind: "load", address, durationMs: warmUpMs });
  await ask(mirror, {});
  const inMirror: MirrorRound[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) {
      const before = processorTimeMs(target.pid);
      const { address } = target;
      const { calls, elapsedMs } = await order<BulkLoad>(client, { kind: "load", address, durationMs: roundMs });
      const perFlag = 1e6 / (calls * bulkFlagCount);
      target.processor.push((processorTimeMs(target.pid) - before) * perFlag);
      target.wall.push(elapsedMs * perFlag);
    }
    inMirror.push(await ask<MirrorRound>(mirror, {}));
  }
  return inMirror;
}

/** Server and mirror must have answered the same. */
function verify({ yes, flags }: BulkAnswers, inMirror: readonly MirrorRound[]): void {
  const all = [yes, ...inMirror.flatMap((round) => [round.yes, round.yesInDetails])];
  const isSame = new Set(all.map((counts) => counts.join())).size === 1;
  if (!isSame || flags.length !== bulkCallers.length || flags.some((count) => count !== bulkFlagCount)) {
    throw new Error("the server and the mirror did not answer the same");
  }
}

function toSection(
  targets: readonly Target[],
  inMirror: readonly MirrorRound[],
  answerBytes: number,
  isPinned: boolean,
): Section {
  const nanoseconds = (rounds: readonly number[]): Measure => toMeasure("nanoseconds", rounds);
  const canned = targets[1]?.processor ?? [];
  const details = inMirror.map((round) => round.details);
  // A mirror's thread does nothing else while it evaluates: its processor time is its time.
  const toRow = (name: string, wall: readonly number[], processor: readonly number[]): Cell[] => [
    name,
    nanoseconds(wall),
    nanoseconds(processor),
    toRatio(processor, details),
    toRatio(processor, canned),
  ];
  const loops = [
    { name: "mirror: `flags.boolean` of each", times: inMirror.map(({ boolean }) => boolean) },
    { name: "mirror: `flags.details` of each", times: details },
  ];
  return {
    name: "bulk",
    title: `All of ${toCount(bulkFlagCount)} flags for one context`,
    columns: ["for one flag", "time", "processor time", "processor time, as `flags.details`", asCanned],
    rows: [
      ...targets.map(({ name, wall, processor }) => toRow(name, wall, processor)),
      ...loops.map(({ name, times }) => toRow(name, times, times)),
    ],
    notes: [
      `A quarter of the flags each: static, one rule of two conditions, a rollout, ten rules. ${bulkCallers.length} contexts of 7 attributes in turn, the same for server and mirror; both must answer the same.`,
      `One call at a time over gRPC, its time from the request to the end of the answer of ${toCount(answerBytes)} bytes, which the client does not decode. The processor time is the server's${isPinned ? ", which is pinned to one core" : ""}.`,
    ],
    // One server process, which may be compiled better or worse. The mirror is compared among the evaluations.
    compared: [{ column: asCanned, better: "lower", tolerance: 1.2 }],
    references: [...targets.slice(1), ...loops].map(({ name }) => name),
  };
}

function toCount(count: number): string {
  return count.toLocaleString("en-US");
}
