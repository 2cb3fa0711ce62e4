import type { CompiledFlag, Context, Snapshot } from "../../engine/index.js";
import type { Steps } from "../admin/steps.js";
import { privateInputs } from "./private-inputs.js";

/** An environment without and with some changes. */
export interface Comparison {
  readonly before: Snapshot;
  readonly after: Snapshot;
  /** The flags that may answer differently. */
  readonly flagKeys: ReadonlySet<string>;
}

/** What would be otherwise for some contexts. */
export interface CountedMoves {
  /** How many contexts would get another variant of at least one flag. */
  readonly changedContexts: number;
  /** The flags that some would get another variant of, or whose answers private attributes decide; most changes first. */
  readonly flags: readonly FlagMoves[];
}

export interface FlagMoves {
  readonly flagKey: string;
  readonly changedContexts: number;
  /** The most frequent first. */
  readonly moves: readonly Move[];
  readonly privateAttributes: readonly string[];
}

/** Contexts that would get one variant in the place of another; an empty one is none. */
export interface Move {
  readonly before: string;
  readonly after: string;
  readonly count: number;
  /** Some of them. */
  readonly examples: readonly Context[];
}

/** How many contexts of one move are told apart. */
const MAX_EXAMPLES = 5;

/** Answers every context without and with the changes, at one time. */
export function* countMoves(comparison: Comparison, contexts: readonly Context[], now: number): Steps<CountedMoves> {
  const { before, after, flagKeys } = comparison;
  const isChanged = new Uint8Array(contexts.length);
  const flags: FlagMoves[] = [];
  for (const flagKey of flagKeys) {
    const [old, next] = [before.flag(flagKey), after.flag(flagKey)];
    const moves = new Map<string, CountedMove>();
    let changedContexts = 0;
    for (const [place, context] of contexts.entries()) {
      // Each: a list of the context's, compared with all values of a rule, may take as long as a call ever does.
      yield;
      const [had, gets] = [variantOf(old, context, now), variantOf(next, context, now)];
      if (had === gets) continue;
      isChanged[place] = 1;
      changedContexts++;
      count(moves, had, gets, context);
    }
    const privateAttributes = privateInputs(comparison, flagKey);
    if (changedContexts === 0 && privateAttributes.length === 0) continue;
    flags.push({ flagKey, changedContexts, moves: [...moves.values()].sort(inOrderOfMoves), privateAttributes });
  }
  flags.sort((a, b) => b.changedContexts - a.changedContexts || compareTexts(a.flagKey, b.flagKey));
  return { changedContexts: isChanged.reduce((sum, one) => sum + one, 0), flags };
}

interface CountedMove extends Move {
  count: number;
  readonly examples: Context[];
}

/** A flag that is not there answers none, and so does one whose callers get their own default. */
function variantOf(flag: CompiledFlag | undefined, context: Context, now: number): string {
  return flag?.select(context, now).variant ?? "";
}

function count(moves: Map<string, CountedMove>, before: string, after: string, context: Context): void {
  // No variant has a line break in its name.
  const name = `${before}\n${after}`;
  const move = moves.get(name) ?? { before, after, count: 0, examples: [] };
  moves.set(name, move);
  move.count++;
  if (move.examples.length < MAX_EXAMPLES) move.examples.push(context);
}

function inOrderOfMoves(a: Move, b: Move): number {
  return b.count - a.count || compareTexts(a.before, b.before) || compareTexts(a.after, b.after);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
