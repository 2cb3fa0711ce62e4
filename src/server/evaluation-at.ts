import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import type { EvaluateRequest, EvaluateResponse } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { explain, type Snapshot } from "../engine/index.js";
import { refuseRole, resolveEnvironment } from "./access/permit.js";
import { answerStore } from "./admin/answer-store.js";
import { toContext } from "./context.js";
import { toResponse } from "./encoded-answer.js";
import { invalidArgument } from "./environment.js";
import type { Evaluation } from "./evaluation-parts.js";
import type { Call } from "./handlers.js";
import { PastSnapshots } from "./past-snapshots.js";
import { privateAttributesOf } from "./private-attributes.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";

/** Whether a request asks for an answer of the past. */
export function isOfPast({ atRevision, atTime }: EvaluateRequest): boolean {
  return atRevision !== undefined || atTime !== undefined;
}

/** Answers as it was at a revision or a time, by the engine of today. What it answers is nobody's evaluation: it is not counted. */
export function evaluateAt({
  head,
  clock,
}: Evaluation): (request: EvaluateRequest, call: Call) => Promise<OrRefusal<EvaluateResponse>> {
  const snapshots = new PastSnapshots(head, clock);
  return async (request, call) => {
    const denied = refuseRole(call, Role.READER);
    if (denied !== undefined) return denied;
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    if (request.flagKey === "") return invalidArgument([{ field: "flag_key", description: "is required" }]);
    const context = toContext(request.context);
    if (isRefusal(context)) return context;
    const moment = momentOf(request, clock.now());
    if (isRefusal(moment)) return moment;
    const found = await answerStore(() => find(snapshots, environment, moment, call.signal));
    if (isRefusal(found)) return found;
    const flag = found.flag(request.flagKey);
    if (flag === undefined) return flagMissing(request.flagKey, found);
    const response = toResponse(flag.select(context, moment.nowMs), found.position.revision);
    if (request.explain) {
      // What is private now must not be told of the past either. An environment that is gone has what it had.
      const privateAttributes = privateAttributesOf(head.snapshot(environment) ?? found, request.context);
      response.trace = explain(flag, context, moment.nowMs, { privateAttributes });
    }
    return response;
  };
}

/** What is asked for, and what `$now` is then. */
type Moment =
  | { readonly kind: "revision"; readonly revision: bigint; readonly nowMs: number }
  | { readonly kind: "time"; readonly nowMs: number };

function momentOf({ atRevision, atTime }: EvaluateRequest, nowMs: number): OrRefusal<Moment> {
  if (atTime === undefined) return { kind: "revision", revision: atRevision ?? 0n, nowMs };
  if (atRevision !== undefined) {
    return invalidArgument([{ field: "at_time", description: "does not go together with at_revision" }]);
  }
  const timeMs = toMs(atTime);
  if (Number.isNaN(new Date(timeMs).getTime())) {
    return invalidArgument([{ field: "at_time", description: "is no time" }]);
  }
  if (timeMs > nowMs) return invalidArgument([{ field: "at_time", description: "has not come yet" }]);
  return { kind: "time", nowMs: timeMs };
}

/** Not rounded up, which could be after a change that was later. */
function toMs({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1_000 + Math.floor(nanos / 1_000_000);
}

async function find(
  snapshots: PastSnapshots,
  environment: string,
  moment: Moment,
  signal: AbortSignal,
): Promise<OrRefusal<Snapshot>> {
  if (moment.kind === "revision") return snapshots.at(environment, moment.revision, "at_revision", signal);
  const revision = await snapshots.revisionAt(moment.nowMs, "at_time", signal);
  return isRefusal(revision) ? revision : snapshots.at(environment, revision, "at_time", signal);
}

function flagMissing(key: string, { position }: Snapshot): Refusal {
  const message = `there was no flag ${JSON.stringify(key)} at revision ${position.revision}`;
  return new Refusal("NOT_FOUND", "FLAG_NOT_FOUND", message, {
    metadata: { flag_key: key, revision: String(position.revision) },
  });
}
