import { durationFromMs, durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Ramp, Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";

/*
 * A ramp is in one of three states, told by two of its fields:
 * - it runs: `next_step_at` alone;
 * - somebody paused it: `paused_with` alone;
 * - it is held, because its flag is killed or not enabled: both. It goes on by itself with what was left, `paused_with`, when
 *   the flag serves again.
 */

/** Whether callers come to a flag's rules and default at all. */
export function isServing({ enabled, killed }: Pick<Targeting, "enabled" | "killed">): boolean {
  return enabled && killed === undefined;
}

export function isRunning(ramp: Ramp): boolean {
  return ramp.nextStepAt !== undefined && ramp.pausedWith === undefined;
}

export function isPaused(ramp: Ramp): boolean {
  return ramp.nextStepAt === undefined;
}

/**
 * How much of the current step is left, in milliseconds. Never more than all of it: that is what a clock that was set back
 * would make of it.
 */
export function leftMs(ramp: Ramp, nowMs: number): number {
  if (ramp.pausedWith !== undefined) return durationMs(ramp.pausedWith);
  const wholeMs = stepMs(ramp);
  const dueMs = ramp.nextStepAt === undefined ? nowMs + wholeMs : timestampMs(ramp.nextStepAt);
  return Math.min(Math.max(dueMs - nowMs, 0), wholeMs);
}

/** How long the current step is served, in milliseconds. */
export function stepMs({ steps, currentStep }: Ramp): number {
  const duration = steps[currentStep]?.duration;
  return duration === undefined ? 0 : durationMs(duration);
}

/** Lets a ramp run, or holds it, with so much left of its current step. Changes it. */
export function run(ramp: Ramp, remainingMs: number, nowMs: number, isHeld: boolean): void {
  ramp.nextStepAt = timestampFromMs(nowMs + remainingMs);
  if (isHeld) ramp.pausedWith = durationFromMs(remainingMs);
  else delete ramp.pausedWith;
}

/** Changes the ramp, unless it is paused. */
export function pause(ramp: Ramp, nowMs: number): void {
  ramp.pausedWith = durationFromMs(leftMs(ramp, nowMs));
  delete ramp.nextStepAt;
}
