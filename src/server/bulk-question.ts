import { create } from "@bufbuild/protobuf";
import {
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationErrorSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Snapshot } from "../engine/index.js";
import type { EncodedAnswer } from "./encoded-answer.js";
import { invalidArgument } from "./environment.js";
import { contractLimits } from "./limits.js";
import { type FieldViolation, Refusal } from "./refusal.js";

// What a call that asks for many flags shares with others of its kind.

/** Each key costs an evaluation, so none may be asked for twice. */
export function refuseFlagKeys(flagKeys: readonly string[]): Refusal | undefined {
  if (flagKeys.length > contractLimits.bulkKeys) {
    const description = `has ${flagKeys.length} entries; ${contractLimits.bulkKeys} is the limit`;
    return invalidArgument([{ field: "flag_keys", description }]);
  }
  const seen = new Set<string>();
  const violations: FieldViolation[] = [];
  for (const [index, key] of flagKeys.entries()) {
    if (seen.has(key)) violations.push({ field: `flag_keys[${index}]`, description: "is in the list already" });
    seen.add(key);
  }
  return violations.length === 0 ? undefined : invalidArgument(violations);
}

export const responseTooLarge = new Refusal(
  "RESOURCE_EXHAUSTED",
  "RESPONSE_TOO_LARGE",
  `the answers are larger than ${contractLimits.bulkBytes} bytes together; ask for fewer flags at a time with flag_keys`,
);

/** The answers of one call, up to the size that one message may have. */
export class BulkAnswers {
  readonly parts: EncodedAnswer[] = [];
  #sizeBytes = 0;

  /** False if it is too much. */
  add(answer: EncodedAnswer): boolean {
    this.parts.push(answer);
    this.#sizeBytes += answer.sizeBytes;
    return this.#sizeBytes <= contractLimits.bulkBytes;
  }
}

export function unknownFlag(flagKey: string, { position }: Snapshot): EvaluateResponse {
  const message = `there is no flag ${JSON.stringify(flagKey)}`;
  return create(EvaluateResponseSchema, {
    flagKey,
    reason: "ERROR",
    revision: position.revision,
    error: create(EvaluationErrorSchema, { code: "FLAG_NOT_FOUND", message }),
  });
}
