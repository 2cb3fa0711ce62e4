import { create, fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type BulkEvaluateRequest,
  BulkEvaluateResponseSchema,
  type EvaluateRequest,
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationErrorSchema,
  type EvaluationService,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { Clock } from "../base/index.js";
import type { Context, Outcome, Snapshot } from "../engine/index.js";
import type { WatchHub } from "../watch/index.js";
import { toContext } from "./context.js";
import { environmentNotFound, flagNotFound, invalidArgument, resolveEnvironment } from "./environment.js";
import type { Encoded, ServiceHandlers } from "./handlers.js";
import { contractLimits } from "./limits.js";
import { type FieldViolation, isRefusal, type OrRefusal, Refusal } from "./refusal.js";
import type { Head } from "./state/head.js";

/** What the handlers of EvaluationService work with. */
export interface Evaluation {
  readonly head: Head;
  readonly hub: WatchHub;
  readonly clock: Clock;
}

type Handlers = ServiceHandlers<typeof EvaluationService>;

/** The handlers of EvaluationService, whatever the transport. */
export function evaluationHandlers(evaluation: Evaluation): Handlers {
  return {
    evaluate: evaluate(evaluation),
    bulkEvaluate: bulkEvaluate(evaluation),
    watch: watch(evaluation),
  };
}

/** What is asked of which snapshot. */
interface Question {
  readonly snapshot: Snapshot;
  readonly context: Context;
}

function toQuestion(head: Head, request: EvaluateRequest | BulkEvaluateRequest): OrRefusal<Question> {
  const environment = resolveEnvironment(request.environment);
  const snapshot = head.snapshot(environment);
  if (snapshot === undefined) return environmentNotFound(environment);
  const context = toContext(request.context);
  return isRefusal(context) ? context : { snapshot, context };
}

function evaluate({ head, clock }: Evaluation): Handlers["evaluate"] {
  return (request) => {
    const question = toQuestion(head, request);
    if (isRefusal(question)) return question;
    const { snapshot, context } = question;
    const flag = snapshot.flag(request.flagKey);
    if (flag === undefined) {
      if (request.flagKey === "") return invalidArgument([{ field: "flag_key", description: "is required" }]);
      return flagNotFound(request.flagKey);
    }
    return responseOf(flag.select(context, flag.usesNow ? clock.now() : 0), snapshot).response;
  };
}

function bulkEvaluate({ head, clock }: Evaluation): Handlers["bulkEvaluate"] {
  return (request) => {
    const question = toQuestion(head, request);
    if (isRefusal(question)) return question;
    const { snapshot, context } = question;
    const { flagKeys } = request;
    const refusal = refuseFlagKeys(flagKeys);
    if (refusal !== undefined) return refusal;
    const now = clock.now();
    const answers = new BulkAnswers();
    if (flagKeys.length === 0) {
      for (const flag of snapshot.flags()) {
        if (!answers.add(responseOf(flag.select(context, now), snapshot))) return responseTooLarge;
      }
    }
    for (const key of flagKeys) {
      const flag = snapshot.flag(key);
      const answer = flag ? responseOf(flag.select(context, now), snapshot) : { response: unknownFlag(key, snapshot) };
      if (!answers.add(answer)) return responseTooLarge;
    }
    const { evaluations } = answers;
    return create(BulkEvaluateResponseSchema, { evaluations, revision: snapshot.position.revision });
  };
}

/** Each key costs an evaluation, so none may be asked for twice. */
function refuseFlagKeys(flagKeys: readonly string[]): Refusal | undefined {
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

const responseTooLarge = new Refusal(
  "RESOURCE_EXHAUSTED",
  "RESPONSE_TOO_LARGE",
  `the answers are larger than ${contractLimits.bulkBytes} bytes together; ask for fewer flags at a time with flag_keys`,
);

/** The answers of one call, up to the size that one message may have. */
class BulkAnswers {
  readonly evaluations: EvaluateResponse[] = [];
  #sizeBytes = 0;

  /** False if it is too much. */
  add(answer: KnownResponse): boolean {
    answer.sizeBytes ??= toBinary(EvaluateResponseSchema, answer.response).byteLength;
    this.#sizeBytes += answer.sizeBytes;
    this.evaluations.push(answer.response);
    return this.#sizeBytes <= contractLimits.bulkBytes;
  }
}

function watch({ hub }: Evaluation): Handlers["watch"] {
  return async function* frames(request, call): AsyncGenerator<OrRefusal<WatchResponse | Encoded<WatchResponse>>> {
    const environment = resolveEnvironment(request.environment);
    if (request.clientName.length > 256) {
      yield invalidArgument([{ field: "client_name", description: "is longer than 256 characters" }]);
      return;
    }
    if (!hub.has(environment)) {
      yield environmentNotFound(environment);
      return;
    }
    const { position } = request;
    for await (const frame of hub.watch({ environment, position }, call.signal)) yield frame;
    yield new Refusal("UNAVAILABLE", "STREAM_ENDED", "the stream has ended; reconnect with the last position");
  };
}

/** A response, and its size in protobuf once that was asked for. */
interface KnownResponse {
  readonly response: EvaluateResponse;
  sizeBytes?: number | undefined;
}

/**
 * The response of each outcome at the revision that last asked for it. Outcomes are frozen and live as long as their
 * snapshot, so what is made of one is made once.
 */
const responses = new WeakMap<Outcome, KnownResponse>();

function responseOf(outcome: Outcome, { position }: Snapshot): KnownResponse {
  const known = responses.get(outcome);
  if (known?.response.revision === position.revision) return known;
  // Another revision may take a few bytes more; that is no reason to measure again.
  const made = { response: createResponse(outcome, position.revision), sizeBytes: known?.sizeBytes };
  responses.set(outcome, made);
  return made;
}

function createResponse(outcome: Outcome, revision: bigint): EvaluateResponse {
  return create(EvaluateResponseSchema, {
    flagKey: outcome.flagKey,
    variant: outcome.variant ?? "",
    reason: outcome.reason,
    ruleId: outcome.ruleId ?? "",
    prerequisiteKey: outcome.prerequisiteKey ?? "",
    revision,
    ...(outcome.value !== undefined && { value: toValue(outcome.value) }),
    ...(outcome.metadata !== undefined && { metadata: outcome.metadata as JsonObject }),
    ...(outcome.errorCode !== undefined && {
      error: create(EvaluationErrorSchema, { code: outcome.errorCode, message: outcome.errorMessage ?? "" }),
    }),
  });
}

function unknownFlag(flagKey: string, { position }: Snapshot): EvaluateResponse {
  const message = `there is no flag ${JSON.stringify(flagKey)}`;
  return create(EvaluateResponseSchema, {
    flagKey,
    reason: "ERROR",
    revision: position.revision,
    error: create(EvaluationErrorSchema, { code: "FLAG_NOT_FOUND", message }),
  });
}

function toValue(value: Outcome["value"]): Value {
  return fromJson(ValueSchema, value as JsonValue);
}
