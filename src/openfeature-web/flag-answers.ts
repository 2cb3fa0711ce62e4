import {
  type FlatMetadata,
  type ResolutionErrorCode,
  toFlatMetadata,
  toResolutionErrorCode,
} from "../resolution/index.js";
import { isRecord, type JsonRecord, textOf } from "./json.js";

/** One answer, as it is kept: plain JSON. */
export interface FlagAnswer {
  /** Undefined: the caller's own default. */
  readonly value?: unknown;
  readonly variant?: string;
  readonly reason: string;
  readonly errorCode?: ResolutionErrorCode;
  readonly errorMessage?: string;
  /** The flag's own, and what decided. */
  readonly metadata?: FlatMetadata;
}

/** By flag key. Never changed. */
export type FlagAnswers = ReadonlyMap<string, FlagAnswer>;

/** The answers for one context. */
export interface FlagValues {
  /** As text, because it has 64 bits. */
  readonly revision: string;
  readonly answers: FlagAnswers;
}

/** What an update says. */
export interface AnswerUpdate extends FlagValues {
  /** Whether these are all: what is not among them has no answer any more. */
  readonly full: boolean;
  readonly removed: readonly string[];
}

/** Reads an EvaluationUpdate, or a BulkEvaluateResponse as one that is `full`. What is no answer is left out. */
export function parseUpdate(json: unknown, full?: true): AnswerUpdate {
  const { evaluations = [], removedFlagKeys = [], revision, full: isFull = full } = isRecord(json) ? json : {};
  const answers = new Map<string, FlagAnswer>();
  for (const evaluation of Array.isArray(evaluations) ? evaluations : []) {
    if (isRecord(evaluation)) answers.set(textOf(evaluation.flagKey), parseAnswer(evaluation));
  }
  const removed = Array.isArray(removedFlagKeys) ? removedFlagKeys.map(textOf) : [];
  return { full: isFull === true, revision: textOf(revision), answers, removed };
}

function parseAnswer(evaluation: JsonRecord): FlagAnswer {
  const { value, variant, reason, error } = evaluation;
  return {
    reason: textOf(reason),
    ...(value !== undefined && { value }),
    ...(typeof variant === "string" && { variant }),
    ...(isRecord(error) && {
      errorCode: toResolutionErrorCode(textOf(error.code)),
      errorMessage: textOf(error.message),
    }),
    metadata: parseMetadata(evaluation),
  };
}

function parseMetadata({ metadata, ruleId, prerequisiteKey }: JsonRecord): FlatMetadata {
  return {
    ...toFlatMetadata(metadata),
    ...(typeof ruleId === "string" && { "flagwire.ruleId": ruleId }),
    ...(typeof prerequisiteKey === "string" && { "flagwire.prerequisiteKey": prerequisiteKey }),
  };
}

/** The values after an update. */
export function updated(before: FlagValues | undefined, update: AnswerUpdate): FlagValues {
  const { full, revision, answers, removed } = update;
  if (full || before === undefined) return { revision, answers };
  const after = new Map([...before.answers, ...answers]);
  for (const key of removed) after.delete(key);
  return { revision, answers: after };
}

/** Keys of flags whose answers differ, sorted. */
export function changedKeys(before: FlagAnswers, after: FlagAnswers): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => !isSame(before.get(key), after.get(key))).sort();
}

/** Both were made by `parseAnswer`, or were kept from such, and so have their fields in the same order. */
function isSame(before: FlagAnswer | undefined, after: FlagAnswer | undefined): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}
