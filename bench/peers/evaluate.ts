import { createCallers } from "../evaluations/callers.js";
import { flags } from "./flags.js";
import { openFlagwire } from "./flagwire.js";
import { createHashes } from "./hashes.js";
import type { PeerRounds } from "./peer-rounds.js";
import type { Counts, FlagKey, Run, Sdk } from "./sdk.js";
import { openConfigCat } from "./sdks/configcat.js";
import { openFlagdCore } from "./sdks/flagd-core.js";
import { openGrowthBook } from "./sdks/growthbook.js";
import { openLaunchDarkly } from "./sdks/launchdarkly.js";
import { openUnleash } from "./sdks/unleash.js";

/** One thing to time. */
interface Subject {
  readonly name: string;
  readonly run: Run;
  /** Throws where the counts of one pass cannot be right. */
  readonly check: (counts: Counts) => void;
}

/** A subject that is warm. */
interface WarmSubject extends Subject {
  /** What one pass counted, and every other must. */
  readonly counts: Counts;
  /** How many passes make a round. */
  readonly passes: number;
}

const contexts = 10_000;
const rounds = 11;
const roundMs = 80;
const warmUpMs = 400;

/** Runs in a process of its own, as an application would: `node evaluate.js ADDRESS`. */
const callers = createCallers(contexts);
const sdks = await Promise.all([
  openFlagwire(callers, process.argv[2] ?? ""),
  openFlagdCore(callers),
  openLaunchDarkly(callers),
  openUnleash(callers),
  openGrowthBook(callers),
  openConfigCat(callers),
]);
const hashes = createHashes(callers);
const times = await measure([
  ...hashes.map(({ name, run }) => ({ name, run, check: checkHalf })),
  ...sdks.flatMap((sdk) =>
    flags.map(({ key, check }) => ({
      name: nameOf(sdk, key),
      run: sdk.runs[key],
      check: (counts: Counts) => check(counts, callers),
    })),
  ),
]);
await Promise.all(sdks.map((sdk) => sdk[Symbol.asyncDispose]()));
const report: PeerRounds = {
  contexts,
  sdks: sdks.map(({ name, call, note }) => ({ name, call, note, timesNs: timesOf(name) })),
  hashes: hashes.map(({ name }) => ({ name, timesNs: times.get(name) ?? [] })),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

function nameOf({ name }: Pick<Sdk, "name">, key: FlagKey): string {
  return `${name} ${key}`;
}

function timesOf(name: string): PeerRounds["sdks"][number]["timesNs"] {
  const of = (key: FlagKey) => times.get(nameOf({ name }, key)) ?? [];
  return {
    static: of("static"),
    "two-conditions": of("two-conditions"),
    rollout: of("rollout"),
    "ten-rules": of("ten-rules"),
  };
}

function checkHalf([odd = 0]: Counts): void {
  if (Math.abs(odd - contexts / 2) > 4 * Math.sqrt(contexts / 4)) throw new Error(`${odd} hashes are odd`);
}

/** The times of one evaluation by the subjects' names, in nanoseconds, round by round. */
async function measure(subjects: readonly Subject[]): Promise<ReadonlyMap<string, readonly number[]>> {
  // All of them twice, so that each is measured in code that the others have made general, as in an application.
  for (const subject of subjects) await warmUp(subject);
  const warm: WarmSubject[] = [];
  for (const subject of subjects) warm.push(await warmUp(subject));
  const timesNs = new Map(warm.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // To and fro, so that nobody always comes after the same.
    for (const subject of round % 2 === 0 ? warm : warm.toReversed()) {
      const elapsedMs = await time(subject);
      timesNs.get(subject.name)?.push((elapsedMs * 1e6) / (contexts * subject.passes));
    }
  }
  return timesNs;
}

async function warmUp(subject: Subject): Promise<WarmSubject> {
  const counts = await subject.run(1);
  try {
    subject.check(counts);
  } catch (error) {
    throw new Error(`${subject.name}: ${error instanceof Error ? error.message : error}`);
  }
  let passes = 0;
  const startedAt = performance.now();
  let elapsedMs = 0;
  for (; elapsedMs < warmUpMs; elapsedMs = performance.now() - startedAt) {
    await time({ ...subject, counts, passes: 1 });
    passes++;
  }
  return { ...subject, counts, passes: Math.max(1, Math.ceil((passes * roundMs) / elapsedMs)) };
}

/** How long a round takes, in milliseconds. Its answers are counted and must be the ones that were checked. */
async function time({ name, run, counts, passes }: WarmSubject): Promise<number> {
  const startedAt = performance.now();
  const answer = run(passes);
  const found = answer instanceof Promise ? await answer : answer;
  const elapsedMs = performance.now() - startedAt;
  const perPass = found.map((count) => count / passes);
  if (perPass.join() !== counts.join())
    throw new Error(`${name}: ${perPass} answers a pass, but ${counts} in the first`);
  return elapsedMs;
}
