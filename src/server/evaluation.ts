import { create } from "@bufbuild/protobuf";
import {
  type BulkEvaluateRequest,
  type EvaluateRequest,
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationErrorSchema,
  type EvaluationService,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock } from "../base/index.js";
import { type CompiledFlag, type Context, explain, type Outcome, type Snapshot } from "../engine/index.js";
import type { WatchHub } from "../watch/index.js";
import { toContext } from "./context.js";
import { decodeQuestion } from "./decode-question.js";
import { BulkAnswer, type EncodedAnswer, EncodedResponse, OutcomeAnswer, toResponse } from "./encoded-answer.js";
import { environmentNotFound, flagNotFound, invalidArgument, resolveEnvironment } from "./environment.js";
import type { Encoded, ServiceHandlers } from "./handlers.js";
import { contractLimits } from "./limits.js";
import { type FieldViolation, isRefusal, type OrRefusal, Refusal } from "./refusal.js";
import type { Head } from "./state/head.js";
import { reportUsageHandler } from "./usage/report-usage.js";
import type { UsageLedger } from "./usage/usage-ledger.js";
import { watchHandler } from "./watch.js";

/** What the handlers of EvaluationService work with. */
export interface Evaluation {
  readonly head: Head;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly usage: UsageLedger;
}

type Handlers = ServiceHandlers<typeof EvaluationService>;

/** The handlers of EvaluationService, whatever the transport. */
export function evaluationHandlers(evaluation: Evaluation): Handlers {
  return {
    evaluate: evaluate(evaluation),
    bulkEvaluate: bulkEvaluate(evaluation),
    watch: watchHandler(evaluation),
    reportUsage: reportUsageHandler(evaluation),
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
  const fromMessage: Handlers["evaluate"] = (request) => {
    const question = toQuestion(head, request);
    if (isRefusal(question)) return question;
    const flag = findFlag(question.snapshot, request.flagKey);
    if (isRefusal(flag)) return flag;
    if (!request.explain) return answer(flag, question, clock);
    return explainedAnswer(flag, question, clock, request.context?.privateAttributes);
  };
  // Most requests are plain, and making messages of them costs more than to answer them.
  const direct: Handlers["evaluate"]["direct"] = (bytes) => {
    const plain = decodeQuestion(bytes);
    if (plain === undefined) return undefined;
    const environment = resolveEnvironment(plain.environment);
    const snapshot = head.snapshot(environment);
    if (snapshot === undefined) return environmentNotFound(environment);
    const flag = findFlag(snapshot, plain.flagKey);
    return isRefusal(flag) ? flag : answer(flag, { snapshot, context: plain.context }, clock);
  };
  return Object.assign(fromMessage, { direct });
}

function findFlag(snapshot: Snapshot, key: string): OrRefusal<CompiledFlag> {
  const flag = snapshot.flag(key);
  if (flag !== undefined) return flag;
  return key === "" ? invalidArgument([{ field: "flag_key", description: "is required" }]) : flagNotFound(key);
}

function answer(flag: CompiledFlag, { snapshot, context }: Question, clock: Clock): Encoded<EvaluateResponse> {
  return answerOf(flag.select(context, flag.usesNow ? clock.now() : 0), snapshot);
}

/** An answer with the trace of how it came about, made for this call. */
function explainedAnswer(
  flag: CompiledFlag,
  { snapshot, context }: Question,
  clock: Clock,
  privateAttributes: readonly string[] | undefined,
): EvaluateResponse {
  const now = clock.now();
  const response = toResponse(flag.select(context, now), snapshot.position.revision);
  response.trace = explain(flag, context, now, { privateAttributes });
  return response;
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
        if (!answers.add(answerOf(flag.select(context, now), snapshot))) return responseTooLarge;
      }
    }
    for (const key of flagKeys) {
      const flag = snapshot.flag(key);
      const answer = flag
        ? answerOf(flag.select(context, now), snapshot)
        : new EncodedResponse(unknownFlag(key, snapshot));
      if (!answers.add(answer)) return responseTooLarge;
    }
    return new BulkAnswer(answers.parts, snapshot.position.revision);
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
  readonly parts: EncodedAnswer[] = [];
  #sizeBytes = 0;

  /** False if it is too much. */
  add(answer: EncodedAnswer): boolean {
    this.parts.push(answer);
    this.#sizeBytes += answer.sizeBytes;
    return this.#sizeBytes <= contractLimits.bulkBytes;
  }
}

/**
 * The answer of each outcome at the revision that last asked for it. Outcomes are frozen and live as long as their
 * snapshot, so what is made of one is made once. Large ones are made for each call: a value that many rules serve is one in the
 * snapshot, but in the answer of every rule.
 */
const answers = new WeakMap<Outcome, OutcomeAnswer>();
const MAX_KEPT_BYTES = 65_536;

function answerOf(outcome: Outcome, { position }: Snapshot): OutcomeAnswer {
  const known = answers.get(outcome);
  if (known?.revision === position.revision) return known;
  const made = known?.at(position.revision) ?? OutcomeAnswer.of(outcome, position.revision);
  if (made.frame.byteLength <= MAX_KEPT_BYTES) answers.set(outcome, made);
  return made;
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
