import { create, type DescMessage, type JsonObject, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type FlagImpact,
  FlagImpactSchema,
  type Impact,
  type ImpactExample,
  ImpactExampleSchema,
  ImpactSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Context as ContextMessage, ContextSchema } from "../../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Context } from "../../engine/index.js";
import type { CountedMoves, FlagMoves } from "./count-moves.js";

/** What trying the contexts of one environment has shown. */
export interface TriedContexts extends CountedMoves {
  readonly environment: string;
  readonly triedContexts: number;
  readonly oldestMs: number;
}

export interface ImpactLimits {
  /** What all impacts may take together. */
  readonly maxBytes: number;
  /** Whether the caller may see contexts. */
  readonly withExamples: boolean;
}

const MAX_FLAGS = 100;
const MAX_MOVES = 20;
const MAX_EXAMPLES = 5;
/** Tag and length of an element, and what its own bytes add to the lengths around it. */
const ELEMENT_BYTES = 12;

/** Impacts as an answer shows them. Where there is no room for all, examples are left out first, then flags. */
export function toImpacts(tried: readonly TriedContexts[], { maxBytes, withExamples }: ImpactLimits): Impact[] {
  let left = maxBytes;
  return tried.map((one, index) => {
    const impact = toImpact(one, Math.floor(left / (tried.length - index)), withExamples);
    left -= sizeOf(ImpactSchema, impact);
    return impact;
  });
}

function toImpact(tried: TriedContexts, maxBytes: number, withExamples: boolean): Impact {
  const { environment, triedContexts, changedContexts, oldestMs, flags } = tried;
  const impact = create(ImpactSchema, {
    environment,
    triedContexts,
    changedContexts,
    oldestTime: timestampFromMs(oldestMs),
  });
  let left = maxBytes - sizeOf(ImpactSchema, impact);
  for (const flag of flags.slice(0, MAX_FLAGS)) {
    const shown = toFlagImpact(flag);
    left -= sizeOf(FlagImpactSchema, shown);
    if (left < 0) break;
    impact.flags.push(shown);
  }
  impact.omittedFlags = flags.length - impact.flags.length;
  if (withExamples) addExamples(impact.flags, flags, left);
  return impact;
}

function toFlagImpact({ flagKey, changedContexts, moves, privateAttributes }: FlagMoves): FlagImpact {
  return create(FlagImpactSchema, {
    flagKey,
    changedContexts,
    moves: moves.slice(0, MAX_MOVES).map(({ before, after, count }) => ({ before, after, contexts: count })),
    privateAttributes: [...privateAttributes],
  });
}

/** The first of each flag before the second of any. */
function addExamples(shown: readonly FlagImpact[], flags: readonly FlagMoves[], maxBytes: number): void {
  let left = maxBytes;
  const examples = shown.map((_, index) => examplesOf(flags[index]));
  for (let round = 0; round < MAX_EXAMPLES; round++) {
    for (const [index, flag] of shown.entries()) {
      const example = examples[index]?.[round];
      const sizeBytes = example === undefined ? 0 : sizeOf(ImpactExampleSchema, example);
      if (example === undefined || sizeBytes > left) continue;
      flag.examples.push(example);
      left -= sizeBytes;
    }
  }
}

/** One of each move, then a second of each, and so on. */
function examplesOf(flag: FlagMoves | undefined): readonly ImpactExample[] {
  const moves = flag?.moves.slice(0, MAX_EXAMPLES) ?? [];
  const examples: ImpactExample[] = [];
  for (let round = 0; round < MAX_EXAMPLES; round++) {
    for (const { before, after, examples: contexts } of moves) {
      const context = contexts[round];
      if (context === undefined || examples.length === MAX_EXAMPLES) continue;
      examples.push(create(ImpactExampleSchema, { context: toContextMessage(context), before, after }));
    }
  }
  return examples;
}

/** A kept context is JSON: it came in a request, or as one. */
function toContextMessage(context: Context): ContextMessage {
  const { targetingKey, ...attributes } = context;
  if (typeof targetingKey === "string") {
    return create(ContextSchema, { targetingKey, attributes: attributes as JsonObject });
  }
  return create(ContextSchema, { attributes: context as JsonObject });
}

function sizeOf<D extends DescMessage>(schema: D, message: MessageShape<D>): number {
  return toBinary(schema, message).length + ELEMENT_BYTES;
}
