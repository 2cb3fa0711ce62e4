import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EvaluateRequestSchema, EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { toGrpcFrame } from "./grpc-frame.js";

export const evaluatePath = "/flagwire.v1.EvaluationService/Evaluate";

/** Requests for a flag of one rule with two conditions, encoded ahead of time: callers with three attributes each. */
export function encodeRequests(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const attributes = { country: index % 2 === 0 ? "DE" : "US", plan: "pro", age: 18 + (index % 60) };
    const context = { targetingKey: `user-${index}`, attributes };
    return toGrpcFrame(
      toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "two-conditions", context })),
    );
  });
}

/** Whether a body is the answer to the n-th of `encodeRequests`. */
export function isRightAnswer(body: Buffer, index: number): boolean {
  const { flagKey, value } = fromBinary(EvaluateResponseSchema, body.subarray(5));
  return flagKey === "two-conditions" && value?.kind.case === "boolValue" && value.kind.value === (index % 2 === 0);
}
