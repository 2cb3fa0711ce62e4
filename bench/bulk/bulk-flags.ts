import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BulkEvaluateRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Caller, createCallers } from "../evaluations/callers.js";
import { toGrpcFrame } from "../unary/grpc-frame.js";

export const bulkPath = "/flagwire.v1.EvaluationService/BulkEvaluate";
export const bulkFlagCount = 1_000;

/** Who asks, in turn. */
export const bulkCallers: readonly Caller[] = createCallers(64);

const on = { variant: "on" };
const off = { variant: "off" };

/** A flag file of as many static flags as flags with one rule of two conditions, with a rollout, and with ten rules. */
export const bulkFlags: JsonObject = {
  flags: bulkFlagKeys().map((key) => ({
    key,
    kind: "operational",
    type: "boolean",
    variants: { on: true, off: false },
  })),
  targetings: bulkFlagKeys().map((flagKey, index) => ({
    flagKey,
    enabled: true,
    offVariant: "off",
    ...toSettings(index),
  })),
};

export function bulkFlagKeys(): string[] {
  return Array.from({ length: bulkFlagCount }, (_, index) => `team-${index % 20}.feature-${index}`);
}

/** A request for all flags for each of the callers, encoded ahead of time. */
export function encodeBulkRequests(): Buffer[] {
  return bulkCallers.map(({ targetingKey, ...attributes }) => {
    const request = create(BulkEvaluateRequestSchema, { context: { targetingKey, attributes } });
    return toGrpcFrame(toBinary(BulkEvaluateRequestSchema, request));
  });
}

function toSettings(index: number): JsonObject {
  switch (index % 4) {
    case 0:
      return { default: index % 8 === 0 ? on : off };
    case 1: {
      const conditions = [isOneOf("country", ["DE", "FR"]), isOneOf("plan", ["pro", "enterprise"])];
      return { rules: [{ condition: { all: { conditions } }, serve: on }], default: off };
    }
    case 2: {
      const shares = [
        { variant: "on", weight: 25_000 },
        { variant: "off", weight: 75_000 },
      ];
      return { default: { rollout: { shares } } };
    }
    default: {
      const rules = Array.from({ length: 10 }, (_, rule) => ({
        condition: isOneOf("cohort", [rule * 7, rule * 7 + 1, rule * 7 + 2]),
        serve: on,
      }));
      return { rules, default: off };
    }
  }
}

function isOneOf(attribute: string, values: (string | number)[]): JsonObject {
  return { match: { attribute, operator: "in", values } };
}
