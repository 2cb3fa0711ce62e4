import { type MirrorOptions, openMirror } from "../../../src/client/index.js";
import type { MirrorSighting } from "../../history-checker/index.js";
import { SHARED_FLAGS } from "../planned-write.js";
import { now } from "../recording.js";

// Keeps the mirror that its argument describes, and prints what it shows, as lines of JSON, until SIGTERM.
const options = JSON.parse(process.argv[2] ?? "{}") as MirrorOptions;
const print = (line: MirrorLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** A line that it prints: all that it is asked for is of one turn of its event loop, and so of one revision. */
export type MirrorLine =
  | {
      readonly seen: MirrorSighting;
      readonly status: string;
      readonly counts: { readonly fulls: number; readonly attempts: number; readonly resyncs: number };
    }
  | { readonly log: string };

const mirror = await openMirror({ ...options, log: ({ message }) => print({ log: message }) });
let sightings = 0;

function see(): void {
  const { revision, digest, status, counts } = mirror;
  const isThorough = sightings++ % 10 === 0;
  const targetingKey = `user-${sightings % 10}`;
  const answers = SHARED_FLAGS.map((flagKey) => {
    const { variant, reason, errorCode } = mirror.details(flagKey, false, { targetingKey });
    return { flagKey, targetingKey, variant, reason: errorCode ?? reason };
  });
  const keys = mirror.keys();
  print({ seen: { at: now(), revision, digest, ...(isThorough && { keys, answers }) }, status, counts });
}

see();
for (const event of ["change", "ready", "stale"] as const) mirror.on(event, see);
mirror.on("error", ({ message }) => print({ log: message }));
const ticking = setInterval(see, 100);
process.once("SIGTERM", async () => {
  clearInterval(ticking);
  await mirror.close();
});
