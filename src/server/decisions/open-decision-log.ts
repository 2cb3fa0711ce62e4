import type { Logger } from "pino";
import type { Clock, Random } from "../../base/index.js";
import { DecisionFile } from "./decision-file.js";
import { DecisionLog, type DecisionSink } from "./decision-log.js";

/** What of a service's answers is written out, and where. */
export interface DecisionOptions {
  readonly target: DecisionTarget;
  /** The share of answers that is written, 0 to 1. */
  readonly sample: number;
}

/** `file`: lines of JSON. */
export type DecisionTarget = { readonly kind: "file"; readonly path: string };

interface DecisionParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

export function openDecisionLog(
  { target, sample }: DecisionOptions,
  { log, clock, random }: DecisionParts,
): DecisionLog {
  const warn = (message: string, err: unknown): void => log.warn({ err }, message);
  return new DecisionLog({ sink: openSink(target), sample, clock, random, warn });
}

function openSink({ path }: DecisionTarget): DecisionSink {
  return new DecisionFile(path);
}
