import { create } from "@bufbuild/protobuf";
import { PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { Mirror, Remote } from "../../src/client/index.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import { type Got, inParallel, type Way } from "../vectors-runner/ask.js";
import { flagNotFound, type Vectors } from "../vectors-runner/read-vectors.js";

/** The flags, with their targetings, and segments of some files, as items of an update. */
export function itemsOf(files: readonly Vectors[]): WatchItem[] {
  return files.flatMap(({ file }) => {
    const targetings = new Map(file.targetings.map((targeting) => [targeting.flagKey, targeting]));
    const flags = file.flags.map((flag) => {
      const targeting = targetings.get(flag.key);
      return create(WatchItemSchema, {
        kind: { case: "flag", value: targeting === undefined ? { flag } : { flag, targeting } },
      });
    });
    const segments = file.segments.map((value) => create(WatchItemSchema, { kind: { case: "segment", value } }));
    return [...flags, ...segments];
  });
}

/** A snapshot of some files, at revision 1 of the epoch `test`. */
export function snapshotOf(files: readonly Vectors[]): Snapshot {
  const position = create(PositionSchema, { epoch: "test", revision: 1n });
  return emptySnapshot("production").apply("full", itemsOf(files), position);
}

export function engineWay(snapshot: Snapshot): Way {
  return {
    name: "the engine",
    async ask(cases) {
      return cases.map(({ flagKey, context }) => {
        const outcome = snapshot.flag(flagKey)?.select(context, Date.now());
        if (outcome === undefined) return flagNotFound;
        const { flagKey: _flagKey, errorMessage: _errorMessage, ...answer } = outcome;
        return withoutAbsent(answer);
      });
    },
  };
}

/** A mirror or a remote client, asked without a default: so that flags of every type answer. */
export function clientWay(name: string, client: Pick<Mirror, "details"> | Pick<Remote, "details">): Way {
  return {
    name,
    ask: (cases) =>
      inParallel(cases, async ({ flagKey, context }) => {
        const details = await client.details<unknown>(flagKey, undefined, context);
        const { flagKey: _flagKey, revision: _revision, errorMessage: _errorMessage, ...answer } = details;
        return withoutAbsent(answer);
      }),
  };
}

function withoutAbsent(answer: object): Got {
  return JSON.parse(JSON.stringify(answer));
}
