import { readFile } from "node:fs/promises";
import { type Mirror, type MirrorTransport, openMirror, TransportError } from "../../src/client/index.js";
import { murmur3 } from "../../src/engine/index.js";
import { type Memory, readMemory } from "../support/memory.js";
import { keyOf, probedFlag, scaleCases } from "./scale-cases.js";

/** The time of one evaluation in the file with few and in that with many, round by round, in nanoseconds. */
export interface LookupRounds {
  readonly few: readonly number[];
  readonly many: readonly number[];
}

/** What the process prints. */
export interface ScaleResult {
  /** From the call of `openMirror` until it answered, in milliseconds. */
  readonly loadMs: number;
  /** Of reading and parsing the same file as JSON, in milliseconds. */
  readonly parseMs: number;
  readonly fileBytes: number;
  readonly before: Memory;
  readonly after: Memory;
  readonly member: LookupRounds;
  readonly stranger: LookupRounds;
  /** Of a bare hash, in nanoseconds. */
  readonly murmur3: readonly number[];
}

interface Caller {
  readonly targetingKey: string;
  readonly id: string;
  readonly [attribute: string]: unknown;
}

const callerCount = 1_000;
const rounds = 4;
const loopMs = 30;

/** `node --expose-gc scale.js CASE FEW MANY`, the last two the paths of flag files: a mirror of each, without a server. */
const [, , caseName = "", fewPath = "", manyPath = ""] = process.argv;
const scaled = scaleCases[caseName];
if (scaled === undefined) throw new Error(`there is no case ${caseName}`);

const few = await open(fewPath);
const parseMs = await timeMs(async () => JSON.parse(await readFile(manyPath, "utf8")));
const before = readMemory();
let many: Mirror | undefined;
const loadMs = await timeMs(async () => {
  many = await open(manyPath);
});
if (many === undefined) throw new Error("the mirror did not open");
const after = readMemory();

const membersOfFew = toCallers((index) => index % scaled.members(scaled.few));
const membersOfMany = toCallers((index) => Math.floor((index * scaled.members(scaled.many)) / callerCount));
const strangers = toCallers((index) => scaled.many + index);
const loops = [
  evaluate(few, membersOfFew, callerCount),
  evaluate(many, membersOfMany, callerCount),
  evaluate(few, strangers, 0),
  evaluate(many, strangers, 0),
  hash(strangers),
];
for (const loop of [...loops, ...loops]) timeOfOne(loop);
const times = loops.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [index, loop] of loops.entries()) times[index]?.push(timeOfOne(loop));
}
const [memberFew = [], memberMany = [], strangerFew = [], strangerMany = [], hashes = []] = times;
const result: ScaleResult = {
  loadMs,
  parseMs,
  fileBytes: (await readFile(manyPath)).byteLength,
  before,
  after,
  member: { few: memberFew, many: memberMany },
  stranger: { few: strangerFew, many: strangerMany },
  murmur3: hashes,
};
await Promise.all([few.close(), many.close()]);
process.stdout.write(`${JSON.stringify(result)}\n`);

/** A mirror whose server cannot be reached answers from its bootstrap. */
function open(bootstrap: string): Promise<Mirror> {
  const unreachable = { next: () => Promise.reject(new TransportError("UNAVAILABLE", "there is no server")) };
  const transport: MirrorTransport = {
    address: "nowhere",
    watch: () => ({ [Symbol.asyncIterator]: () => unreachable }),
    unref: () => {},
    close: () => Promise.resolve(),
  };
  return openMirror({ bootstrap, transport });
}

/** As JSON gave them; see `createCallers`. */
function toCallers(indexOf: (index: number) => number): Caller[] {
  const callers = Array.from({ length: callerCount }, (_, index): Caller => {
    const key = keyOf(indexOf(index));
    return { targetingKey: key, id: key };
  });
  return JSON.parse(JSON.stringify(callers)) as Caller[];
}

/** Evaluates for every caller. Throws where not as many as expected are answered true. */
function evaluate(flags: Mirror, callers: readonly Caller[], expected: number): () => void {
  return () => {
    let yes = 0;
    for (const caller of callers) if (flags.boolean(probedFlag, false, caller)) yes++;
    if (yes !== expected) throw new Error(`${caseName}: ${yes} callers were members, not ${expected}`);
  };
}

function hash(callers: readonly Caller[]): () => void {
  const texts = callers.map(({ targetingKey }) => probedFlag + targetingKey);
  let odd = 0;
  return () => {
    for (const text of texts) odd += murmur3(text) & 1;
    if (odd === 0) throw new Error("no hash is odd");
  };
}

/** Runs a loop over the callers again and again; the time of one, in nanoseconds. */
function timeOfOne(loop: () => void): number {
  const startedAt = performance.now();
  let passes = 0;
  while (performance.now() - startedAt < loopMs) {
    for (let pass = 0; pass < 10; pass++) loop();
    passes += 10;
  }
  return ((performance.now() - startedAt) * 1e6) / (passes * callerCount);
}

async function timeMs(run: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return performance.now() - startedAt;
}
