import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { RampStepSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { usageFailure } from "./failure.js";
import { parseWeight } from "./parse-rollout.js";

type RampStepInit = MessageInitShape<typeof RampStepSchema>;

const form = "give percentages and, but for the last, how long each is served, such as 1%:1d,5%:2d,25%:4d,100%";

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `1%:1d,5%:12h,100%`. Percentages have up to three decimals; durations are whole minutes, hours or days. */
export function parseRampSteps(text: string): RampStepInit[] {
  const parts = text.split(",").map((part) => part.trim());
  return parts.map((part, index) => parseStep(part, index === parts.length - 1));
}

function parseStep(text: string, isLast: boolean): RampStepInit {
  const [share = "", time, ...more] = text.split(":");
  const weight = share.endsWith("%") ? parseWeight(share) : undefined;
  if (weight === undefined || more.length > 0) throw usageFailure(`${JSON.stringify(text)} is not a step: ${form}`);
  if (isLast && time !== undefined) {
    throw usageFailure(`the last step, ${JSON.stringify(text)}, has no end: leave out how long it is served`);
  }
  if (isLast) return { weight };
  if (time === undefined) throw usageFailure(`the step ${JSON.stringify(text)} does not say how long: ${form}`);
  return { weight, duration: durationFromMs(parseTime(time, text)) };
}

/** In milliseconds. */
function parseTime(time: string, step: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(time);
  const unitMs = unitsMs[match?.[2] ?? ""];
  if (match === null || unitMs === undefined) {
    throw usageFailure(
      `${JSON.stringify(time)} in ${JSON.stringify(step)} is no time: give minutes, hours or days, such as 30m, 12h or 2d`,
    );
  }
  return Number(match[1]) * unitMs;
}
