import type { Logger } from "pino";
import type { Clock, Random } from "../../base/index.js";
import { openDecisionExport } from "../telemetry/decision-export.js";
import { TelemetryProblem } from "../telemetry/load-sdk.js";
import type { OtlpEndpoint } from "../telemetry/otlp-settings.js";
import { DecisionFile } from "./decision-file.js";
import { DecisionLog, type DecisionSink } from "./decision-log.js";

/** What of a service's answers is written out, and where. */
export interface DecisionOptions {
  readonly target: DecisionTarget;
  /** The share of answers that is written, 0 to 1. */
  readonly sample: number;
}

/** `file`: lines of JSON. `otlp`: events at an endpoint of OpenTelemetry's protocol. */
export type DecisionTarget =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "otlp"; readonly endpoint: OtlpEndpoint };

interface DecisionParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** See ServerOptions. */
  readonly version: string;
}

/** Rejects where what it takes to export is not installed. */
export async function openDecisionLog(
  { target, sample }: DecisionOptions,
  { log, clock, random, version }: DecisionParts,
): Promise<DecisionLog> {
  const warn = (message: string, err: unknown): void => log.warn({ err }, message);
  return new DecisionLog({ sink: await openSink(target, version, clock), sample, clock, random, warn });
}

async function openSink(target: DecisionTarget, version: string, clock: Clock): Promise<DecisionSink> {
  if (target.kind === "file") return new DecisionFile(target.path);
  const sink = await openDecisionExport({ endpoint: target.endpoint, version, clock });
  if (sink instanceof TelemetryProblem) throw new Error(sink.message);
  return sink;
}
