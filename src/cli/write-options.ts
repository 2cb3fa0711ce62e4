import type { Command } from "commander";
import { usageFailure } from "./failure.js";
import type { Session } from "./session.js";

/** The options that every write takes. */
export interface WriteOptions {
  readonly comment?: string;
  readonly expectedRevision?: bigint;
  readonly dryRun?: boolean;
}

/** The fields that every write request has. */
export interface WriteFields {
  readonly comment: string;
  readonly dryRun: boolean;
  readonly idempotencyKey: string;
  readonly expectedRevision?: bigint;
}

export function addWriteOptions(command: Command): Command {
  return command
    .option("--comment <text>", "why, for the history")
    .option("--expected-revision <n>", "refuse if what this changes was changed after revision n", parseRevision)
    .option("--dry-run", "check everything, change nothing");
}

/** A fresh idempotency key makes the repetition of one request harmless; another request needs another key. */
export function toWriteFields(session: Session, options: WriteOptions): WriteFields {
  return {
    comment: options.comment ?? "",
    dryRun: options.dryRun ?? false,
    idempotencyKey: session.io.newIdempotencyKey(),
    ...(options.expectedRevision === undefined ? {} : { expectedRevision: options.expectedRevision }),
  };
}

/** Reads a revision: a whole number from 0 to 2^64 - 1. */
export function parseRevision(text: string): bigint {
  const revision = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (revision === undefined || revision >= 1n << 64n) {
    throw usageFailure(`${JSON.stringify(text)} is not a revision: a whole number such as 12`);
  }
  return revision;
}

/** Reads a whole number from 1 to `maximum`. `what` names the option in a complaint. */
export function parseCount(what: string, maximum: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (count < 1 || count > maximum) throw usageFailure(`${what} ${JSON.stringify(text)} is not from 1 to ${maximum}`);
    return count;
  };
}

/**
 * Takes any text but the empty one, which is what a script's variable holds that was never set: it would act on more than was
 * meant. `what` names the option in a complaint.
 */
export function parseNonEmpty(what: string): (text: string) => string {
  return (text) => {
    if (text === "") throw usageFailure(`${what} is empty; give it a value, or leave it out`);
    return text;
  };
}

/** The end of a sentence about a write. */
export function revisionNote(revision: bigint, options: WriteOptions): string {
  return options.dryRun ? "(dry run: nothing was changed)" : `(revision ${revision})`;
}
