import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ChangeSegmentKeysRequestSchema,
  CreateEnvironmentRequestSchema,
  CreateFlagRequestSchema,
  CreateSegmentRequestSchema,
  DeleteEnvironmentRequestSchema,
  DeleteFlagRequestSchema,
  DeleteSegmentRequestSchema,
  ImportRequestSchema,
  KillFlagsRequestSchema,
  ReviveFlagsRequestSchema,
  UpdateFlagRequestSchema,
  UpdateSegmentRequestSchema,
  UpdateTargetingRequestSchema,
} from "../../gen/flagwire/v1/admin_service_pb.js";
import { FlagKind, type FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import type { Call } from "../../src/server/handlers.js";
import type { Chance } from "./chance.js";
import type { Plan } from "./plan.js";
import type { Writes } from "./simulated-worker.js";

/** What every write carries. */
export interface WriteFields {
  readonly idempotencyKey: string;
  readonly comment: string;
  readonly expectedRevision?: bigint;
}

/** One write, which may be tried any number of times. */
export interface Operation {
  readonly name: string;
  readonly mayChangeNothing: boolean;
  readonly run: (writes: Writes, fields: WriteFields, call: Call) => unknown;
}

const LIKELY = {
  createFlag: 6,
  updateFlag: 5,
  deleteFlag: 1.5,
  updateTargeting: 10,
  kill: 3,
  revive: 2,
  createSegment: 4,
  updateSegment: 2,
  changeSegmentKeys: 3,
  deleteSegment: 1,
  createEnvironment: 3,
  deleteEnvironment: 2,
  import: 1.5,
};

/** A write of something; `mark` is in no other write, and makes sure that it changes something. */
export function chooseOperation(plan: Plan, chance: Chance, mark: string): Operation {
  const environment = chance.pick(plan.environments);
  const key = chance.pick(plan.flagKeys);
  const segmentKey = chance.pick(plan.segmentKeys);
  const kind = chance.weighted(LIKELY);
  const about = (name: string, run: Operation["run"], mayChangeNothing = false): Operation => {
    return { name: `${kind} ${name}`, run, mayChangeNothing };
  };
  switch (kind) {
    case "createFlag":
      return about(key, (writes, fields, call) =>
        writes.createFlag(create(CreateFlagRequestSchema, { ...fields, flag: flagOf(key, mark), force: true }), call),
      );
    case "updateFlag":
      return about(key, (writes, fields, call) =>
        writes.updateFlag(create(UpdateFlagRequestSchema, { ...fields, flag: flagOf(key, mark) }), call),
      );
    case "deleteFlag":
      return about(key, (writes, fields, call) =>
        writes.deleteFlag(create(DeleteFlagRequestSchema, { ...fields, key }), call),
      );
    case "updateTargeting": {
      const targeting = targetingOf(key, environment, chance.is(0.3) ? segmentKey : undefined, chance, mark);
      return about(`${key} in ${environment}`, (writes, fields, call) =>
        writes.updateTargeting(create(UpdateTargetingRequestSchema, { ...fields, targeting }), call),
      );
    }
    case "kill": {
      const request = { environment, flagKeys: [key], reason: mark };
      const run: Operation["run"] = (writes, fields, call) =>
        writes.killFlags(create(KillFlagsRequestSchema, { ...fields, ...request }), call);
      return about(`${key} in ${environment}`, run, true);
    }
    case "revive": {
      const request = { environment, flagKeys: [key] };
      const run: Operation["run"] = (writes, fields, call) =>
        writes.reviveFlags(create(ReviveFlagsRequestSchema, { ...fields, ...request }), call);
      return about(`${key} in ${environment}`, run, true);
    }
    case "createSegment":
    case "updateSegment": {
      const filling = plan.hasLargeSegments
        ? Array.from({ length: 100 }, (_, index) => `${mark}-${index}-`.padEnd(700, "x"))
        : [];
      const segment = { key: segmentKey, environment, included: [mark, "user-1", ...filling] };
      return about(`${segmentKey} in ${environment}`, (writes, fields, call) =>
        kind === "createSegment"
          ? writes.createSegment(create(CreateSegmentRequestSchema, { ...fields, segment }), call)
          : writes.updateSegment(create(UpdateSegmentRequestSchema, { ...fields, segment }), call),
      );
    }
    case "changeSegmentKeys": {
      const request = { environment, key: segmentKey, addIncluded: [mark, "user-1"], removeExcluded: ["user-2"] };
      return about(`${segmentKey} in ${environment}`, (writes, fields, call) =>
        writes.changeSegmentKeys(create(ChangeSegmentKeysRequestSchema, { ...fields, ...request }), call),
      );
    }
    case "deleteSegment":
      return about(`${segmentKey} in ${environment}`, (writes, fields, call) =>
        writes.deleteSegment(create(DeleteSegmentRequestSchema, { ...fields, environment, key: segmentKey }), call),
      );
    case "createEnvironment": {
      const copyFrom = chance.is(0.5) ? "production" : "";
      const request = { environment: { name: environment, description: mark }, copyFrom };
      return about(environment, (writes, fields, call) =>
        writes.createEnvironment(create(CreateEnvironmentRequestSchema, { ...fields, ...request }), call),
      );
    }
    case "deleteEnvironment":
      return about(environment, (writes, fields, call) =>
        writes.deleteEnvironment(create(DeleteEnvironmentRequestSchema, { ...fields, name: environment }), call),
      );
    case "import": {
      const flags = plan.flagKeys.map((flagKey) => flagOf(flagKey, mark));
      const targetings = plan.flagKeys.map((flagKey) => targetingOf(flagKey, environment, undefined, chance, mark));
      return about(`everything in ${environment}`, (writes, fields, call) => {
        const request = create(ImportRequestSchema, {
          ...fields,
          environment,
          force: true,
          file: { flags, targetings },
        });
        return writes.import(inParts([request]), call);
      });
    }
  }
}

async function* inParts<T>(parts: readonly T[]): AsyncGenerator<T> {
  yield* parts;
}

function flagOf(key: string, mark: string): MessageInitShape<typeof FlagSchema> {
  const variants = {
    on: { kind: { case: "boolValue" as const, value: true } },
    off: { kind: { case: "boolValue" as const, value: false } },
  };
  const metadata = { mark };
  return { key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants, metadata, description: mark };
}

function targetingOf(
  flagKey: string,
  environment: string,
  segmentKey: string | undefined,
  chance: Chance,
  mark: string,
): MessageInitShape<typeof TargetingSchema> {
  const serve = (variant: string) => ({ kind: { case: "variant" as const, value: variant } });
  const rules =
    segmentKey === undefined
      ? []
      : [{ id: "segment", condition: { kind: { case: "segment" as const, value: segmentKey } }, serve: serve("on") }];
  return {
    flagKey,
    environment,
    enabled: chance.is(0.8),
    offVariant: "off",
    default: serve(chance.pick(["on", "off"])),
    targets: [{ variant: "on", targetingKeys: [mark] }],
    rules,
  };
}
