import { clone, equals } from "@bufbuild/protobuf";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { type Ramp, RampSchema, ServeSchema, type Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { cloneRecord, type RecordChange } from "../../store/index.js";
import { serveAt, serveOf } from "./ramp-serve.js";
import { isPaused, isRunning, isServing, leftMs, run } from "./ramp-time.js";

/**
 * A change of settings with the ramps that were there before, whatever it says of ramps itself: only their own methods and
 * their steps change them. One whose serve the change replaces or removes ends; while the flag does not serve they are held.
 */
export function keepRamps(change: RecordChange, before: Record | undefined, nowMs: number): RecordChange {
  const kind = change.after?.kind;
  if (kind?.case !== "targeting" || change.after === undefined) return change;
  const current = before?.kind.case === "targeting" ? before.kind.value.ramps : [];
  if (current.length === 0 && kind.value.ramps.length === 0) return change;
  const after = cloneRecord(change.after);
  if (after.kind.case === "targeting") after.kind.value.ramps = rampsOf(after.kind.value, current, nowMs);
  return { id: change.id, after };
}

function rampsOf(targeting: Targeting, current: readonly Ramp[], nowMs: number): Ramp[] {
  const kept = current.filter((ramp) => stands(ramp, targeting)).map((ramp) => clone(RampSchema, ramp));
  const isHeld = !isServing(targeting);
  for (const ramp of kept) {
    if (!isPaused(ramp) && isRunning(ramp) === isHeld) run(ramp, leftMs(ramp, nowMs), nowMs, isHeld);
  }
  return kept;
}

/** Whether what is served is still what the ramp made of it. */
function stands(ramp: Ramp, targeting: Targeting): boolean {
  const serve = serveOf(targeting, ramp.ruleId);
  const step = ramp.steps[ramp.currentStep];
  return serve !== undefined && step !== undefined && equals(ServeSchema, serve, serveAt(ramp, step.weight));
}
