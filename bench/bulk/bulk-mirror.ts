import { type Flags, openMirror } from "../../src/client/index.js";
import { bulkCallers, bulkFlagKeys } from "./bulk-flags.js";

/** What the process answers any message with: the time of each loop for one flag, in nanoseconds. */
export interface MirrorRound {
  readonly boolean: number;
  readonly details: number;
  /** How many flags answered true, caller by caller, and in details. */
  readonly yes: readonly number[];
  readonly yesInDetails: readonly number[];
}

const loopMs = 200;
const keys = bulkFlagKeys();

function booleans(flags: Flags): number[] {
  return bulkCallers.map((caller) => {
    let yes = 0;
    for (const key of keys) if (flags.boolean(key, false, caller)) yes++;
    return yes;
  });
}

function details(flags: Flags): number[] {
  return bulkCallers.map((caller) => {
    let yes = 0;
    for (const key of keys) if (flags.details(key, false, caller).value) yes++;
    return yes;
  });
}

/** Runs it over and over; the time that one flag takes, in nanoseconds. */
function timeOfOne(run: () => number[]): number {
  const startedAt = performance.now();
  let counts = 0;
  do counts += run().length;
  while (performance.now() - startedAt < loopMs);
  return ((performance.now() - startedAt) * 1e6) / (counts * keys.length);
}

const flags = await openMirror({ address: process.argv[2] ?? "" });
process.once("disconnect", () => process.exit());
process.on("message", () => {
  const round: MirrorRound = {
    boolean: timeOfOne(() => booleans(flags)),
    details: timeOfOne(() => details(flags)),
    yes: booleans(flags),
    yesInDetails: details(flags),
  };
  process.send?.(round);
});
process.send?.("started");
