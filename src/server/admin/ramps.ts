import { clone, create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import {
  AbortRampRequestSchema,
  AbortRampResponseSchema,
  type AdminService,
  PauseRampRequestSchema,
  PauseRampResponseSchema,
  ResumeRampRequestSchema,
  ResumeRampResponseSchema,
  StartRampRequestSchema,
  StartRampResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Ramp, type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { environmentId, flagId } from "../../store/index.js";
import { authorOf } from "../access/author.js";
import { resolveEnvironment } from "../access/permit.js";
import { flagNotFound } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { planRamp } from "../ramps/plan-ramp.js";
import { serveAt, setServe } from "../ramps/ramp-serve.js";
import { isPaused, isServing, leftMs, pause, run } from "../ramps/ramp-time.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { type Admin, writeFor } from "./admin.js";
import { putTargeting } from "./records.js";
import { currentTargeting } from "./targetings.js";
import type { WriteRequest } from "./write-request.js";
import type { Draft } from "./writer.js";

type Handlers = ServiceHandlers<typeof AdminService>;

export function rampHandlers(admin: Admin): Pick<Handlers, "startRamp" | "pauseRamp" | "resumeRamp" | "abortRamp"> {
  return {
    startRamp: startRamp(admin),
    async pauseRamp(request, call) {
      const answer = await changeRamp(admin, PauseRampRequestSchema, request, call, pauseOne);
      return isRefusal(answer) ? answer : create(PauseRampResponseSchema, answer);
    },
    async resumeRamp(request, call) {
      const answer = await changeRamp(admin, ResumeRampRequestSchema, request, call, resumeOne);
      return isRefusal(answer) ? answer : create(ResumeRampResponseSchema, answer);
    },
    async abortRamp(request, call) {
      const answer = await changeRamp(admin, AbortRampRequestSchema, request, call, abortOne);
      return isRefusal(answer) ? answer : create(AbortRampResponseSchema, answer);
    },
  };
}

function startRamp(admin: Admin): Handlers["startRamp"] {
  return async (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const start = { author: authorOf(call), nowMs: admin.writer.clock.now() };
    const answer = await writeFor(admin, StartRampRequestSchema, request, call, {
      draft: (catalog) => {
        const current = currentTargeting(catalog, environment, request.flagKey);
        if (isRefusal(current)) return current;
        const flag = catalog.flag(request.flagKey);
        if (flag === undefined) return flagNotFound(request.flagKey);
        const ramp = planRamp(flag, current, request, start);
        if (isRefusal(ramp)) return ramp;
        return toDraft(withRamp(current, ramp));
      },
      answer: (catalog, revision) => toAnswer(catalog, environment, request.flagKey, revision),
    });
    return isRefusal(answer) ? answer : create(StartRampResponseSchema, answer);
  };
}

/** The settings with a ramp at its first step; one of a single step is over at once. */
function withRamp(current: Targeting, ramp: Ramp): Targeting {
  const targeting = clone(TargetingSchema, current);
  const [first] = ramp.steps;
  if (first !== undefined) setServe(targeting, ramp.ruleId, serveAt(ramp, first.weight));
  if (ramp.steps.length > 1) targeting.ramps.push(ramp);
  return targeting;
}

/** Changes a ramp and, as far as it has to, the settings that it is part of. */
type RampChange = (ramp: Ramp, targeting: Targeting, nowMs: number) => void;

const pauseOne: RampChange = (ramp, _targeting, nowMs) => {
  if (!isPaused(ramp)) pause(ramp, nowMs);
};

const resumeOne: RampChange = (ramp, targeting, nowMs) => {
  if (isPaused(ramp)) run(ramp, leftMs(ramp, nowMs), nowMs, !isServing(targeting));
};

const abortOne: RampChange = (ramp, targeting) => {
  setServe(targeting, ramp.ruleId, ramp.serveBefore);
  targeting.ramps = targeting.ramps.filter((one) => one !== ramp);
};

interface RampRequest extends WriteRequest {
  readonly environment: string;
  readonly flagKey: string;
  readonly ruleId: string;
}

async function changeRamp<D extends DescMessage>(
  admin: Admin,
  schema: D,
  request: MessageShape<D> & RampRequest,
  call: Call,
  change: RampChange,
): Promise<OrRefusal<Answer>> {
  const { flagKey, ruleId } = request;
  const environment = resolveEnvironment(request.environment, call);
  if (isRefusal(environment)) return environment;
  return writeFor<D, Answer>(admin, schema, request, call, {
    draft: (catalog) => {
      const current = currentTargeting(catalog, environment, flagKey);
      if (isRefusal(current)) return current;
      const targeting = clone(TargetingSchema, current);
      const ramp = targeting.ramps.find((one) => one.ruleId === ruleId);
      if (ramp === undefined) return rampNotFound(targeting, ruleId);
      change(ramp, targeting, admin.writer.clock.now());
      // As kill and revive: what a ramp serves was well formed when it began, and it can be ended whatever else is wrong.
      return { ...toDraft(targeting), unchecked: true };
    },
    answer: (catalog, revision) => toAnswer(catalog, environment, flagKey, revision),
  });
}

function rampNotFound({ flagKey, environment, ramps }: Targeting, ruleId: string): Refusal {
  const places = ramps.map((ramp) => placeOf(ramp.ruleId)).join(", ");
  const others = places === "" ? "" : `; ${places} has one`;
  const message = `${placeOf(ruleId)} of ${flagKey} in ${environment} has no ramp${others}`;
  return new Refusal("NOT_FOUND", "RAMP_NOT_FOUND", message, { metadata: { flag_key: flagKey, rule_id: ruleId } });
}

function placeOf(ruleId: string): string {
  return ruleId === "" ? "the default" : `rule ${ruleId}`;
}

function toDraft(targeting: Targeting): Draft {
  const { flagKey, environment } = targeting;
  return {
    changes: [putTargeting(targeting)],
    reads: [flagId(flagKey), environmentId(environment)],
    brokenReason: "FLAG_IN_USE",
    setsRamps: true,
  };
}

interface Answer {
  readonly targeting?: Targeting;
  readonly revision: bigint;
}

function toAnswer(catalog: Catalog, environment: string, flagKey: string, revision: bigint): Answer {
  const targeting = catalog.targeting(environment, flagKey);
  // None where a write is repeated whose flag was deleted since.
  return { ...(targeting && { targeting }), revision };
}
