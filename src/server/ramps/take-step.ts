import { clone } from "@bufbuild/protobuf";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Ramp, type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { serveAt, setServe } from "./ramp-serve.js";
import { isRunning, isServing, run } from "./ramp-time.js";

/** A ramp's step that is under way, as it is told from all others, of other ramps in the same place too. */
export function momentOf({ startedAt, currentStep, nextStepAt }: Ramp): string {
  const times = [startedAt, nextStepAt].map((time) => (time === undefined ? "" : timestampMs(time)));
  return `${times[0]}/${currentStep}/${times[1]}`;
}

/** The ramps of a flag that go on by themselves. */
export function runningRamps(targeting: Targeting | undefined): readonly Ramp[] {
  return targeting !== undefined && isServing(targeting) ? targeting.ramps.filter(isRunning) : [];
}

/** The settings once the next step of one of their ramps is served, all of it from now on; at the last one the ramp is gone. */
export function takeStep(targeting: Targeting, ruleId: string, nowMs: number): Targeting {
  const after = clone(TargetingSchema, targeting);
  const ramp = after.ramps.find((one) => one.ruleId === ruleId);
  if (ramp === undefined) return after;
  const step = ramp.steps[ramp.currentStep + 1];
  if (step !== undefined) setServe(after, ruleId, serveAt(ramp, step.weight));
  ramp.currentStep++;
  if (step?.duration === undefined) after.ramps = after.ramps.filter((one) => one !== ramp);
  else run(ramp, durationMs(step.duration), nowMs, false);
  return after;
}
