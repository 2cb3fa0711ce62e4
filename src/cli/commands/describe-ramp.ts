import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Ramp } from "../../../gen/flagwire/v1/targeting_pb.js";
import { toPercent } from "../parse-rollout.js";

/** Such as `ramp of rule beta: 5% on, step 2 of 4; 25% at 2026-03-01T12:00:00.000Z`. */
export function describeRamp(ramp: Ramp): string {
  const { ruleId, variant, steps, currentStep } = ramp;
  const place = ruleId === "" ? "the default" : `rule ${ruleId}`;
  const weight = steps[currentStep]?.weight ?? 0;
  return `ramp of ${place}: ${toPercent(weight)} ${variant}, step ${currentStep + 1} of ${steps.length}; ${describeNext(ramp)}`;
}

function describeNext({ steps, currentStep, nextStepAt, pausedWith }: Ramp): string {
  const percent = toPercent(steps[currentStep + 1]?.weight ?? 0);
  const left = pausedWith === undefined ? "" : describeTime(durationMs(pausedWith));
  if (nextStepAt === undefined) return `paused, ${left} before ${percent}`;
  if (pausedWith !== undefined) return `waits until the flag is on and not killed, ${left} before ${percent}`;
  return `${percent} at ${timestampDate(nextStepAt).toISOString()}`;
}

/** Such as `paused the ramp of the default`, for each ramp that somebody, or its next step, changed. */
export function describeRampChanges(old: readonly Ramp[], now: readonly Ramp[]): readonly string[] {
  const ruleIds = new Set([...old, ...now].map(({ ruleId }) => ruleId));
  return [...ruleIds].sort().flatMap((ruleId) => {
    const isIt = (ramp: Ramp) => ramp.ruleId === ruleId;
    const verb = rampVerb(old.find(isIt), now.find(isIt));
    return verb === undefined ? [] : [`${verb} the ramp of ${ruleId === "" ? "the default" : `rule ${ruleId}`}`];
  });
}

/** What holds a ramp, or lets it go on, is told of its flag. */
function rampVerb(old: Ramp | undefined, now: Ramp | undefined): string | undefined {
  if (now === undefined) return "ended";
  if (old === undefined) return "started";
  if (now.currentStep !== old.currentStep) return `step ${now.currentStep + 1} of ${now.steps.length} of`;
  const [wasPaused, isPaused] = [old, now].map(({ nextStepAt }) => nextStepAt === undefined);
  if (wasPaused === isPaused) return undefined;
  return isPaused ? "paused" : "resumed";
}

/** Such as `2d 4h`: the two largest units, rounded down; below a minute seconds. */
export function describeTime(ms: number): string {
  const units: [string, number][] = [
    ["d", Math.floor(ms / 86_400_000)],
    ["h", Math.floor(ms / 3_600_000) % 24],
    ["m", Math.floor(ms / 60_000) % 60],
    ["s", Math.floor(ms / 1_000) % 60],
  ];
  const first = units.findIndex(([, count]) => count > 0);
  if (first < 0) return "0s";
  return units
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count}${unit}`)
    .join(" ");
}
