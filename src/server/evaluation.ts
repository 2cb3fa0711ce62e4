import { Role } from "../../gen/flagwire/v1/access_pb.js";
import type {
  BulkEvaluateRequest,
  EvaluateRequest,
  EvaluateResponse,
  EvaluationService,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock } from "../base/index.js";
import { type CompiledFlag, type Context, explain, type Snapshot, withoutPrivate } from "../engine/index.js";
import { refuseRole, resolveEnvironment } from "./access/permit.js";
import { BulkAnswers, refuseFlagKeys, responseTooLarge, unknownFlag } from "./bulk-question.js";
import { toContext } from "./context.js";
import { decodeQuestion } from "./decode-question.js";
import { BulkAnswer, type EncodedAnswer, EncodedResponse, toResponse } from "./encoded-answer.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "./environment.js";
import { evaluateAt, isOfPast } from "./evaluation-at.js";
import type { Evaluation } from "./evaluation-parts.js";
import type { Call, Encoded, ServiceHandlers } from "./handlers.js";
import { answerOf } from "./kept-answers.js";
import { privateAttributesOf } from "./private-attributes.js";
import { isRefusal, type OrRefusal } from "./refusal.js";
import type { Head } from "./state/head.js";
import { reportUsageHandler } from "./usage/report-usage.js";
import type { ServedCounts } from "./usage/served-counts.js";
import { watchHandler } from "./watch.js";
import { watchEvaluationsHandler } from "./watch-evaluations.js";

type Handlers = ServiceHandlers<typeof EvaluationService>;

/** The handlers of EvaluationService, whatever the transport. */
export function evaluationHandlers(evaluation: Evaluation): Handlers {
  return {
    evaluate: evaluate(evaluation),
    bulkEvaluate: bulkEvaluate(evaluation),
    watch: watchHandler(evaluation),
    watchEvaluations: watchEvaluationsHandler(evaluation),
    reportUsage: reportUsageHandler(evaluation),
  };
}

/** What is asked of which snapshot. */
interface Question {
  readonly snapshot: Snapshot;
  readonly context: Context;
  /** The context as others may see it: without what the caller marked as private. */
  readonly shown: Context;
}

function toQuestion(
  head: Head,
  request: EvaluateRequest | BulkEvaluateRequest,
  call: Pick<Call, "identity">,
): OrRefusal<Question> {
  const environment = resolveEnvironment(request.environment, call);
  if (isRefusal(environment)) return environment;
  const snapshot = head.snapshot(environment);
  if (snapshot === undefined) return environmentNotFound(environment);
  const context = toContext(request.context);
  if (isRefusal(context)) return context;
  return { snapshot, context, shown: withoutPrivate(context, request.context?.privateAttributes ?? []) };
}

function evaluate(evaluation: Evaluation): Handlers["evaluate"] {
  const { head, clock, served } = evaluation;
  const ofPast = evaluateAt(evaluation);
  const fromMessage: Handlers["evaluate"] = (request, call) => {
    if (isOfPast(request)) return ofPast(request, call);
    const question = toQuestion(head, request, call);
    if (isRefusal(question)) return question;
    const flag = findFlag(question.snapshot, request.flagKey);
    if (isRefusal(flag)) return flag;
    if (!request.explain) return answer(flag, question, clock, served, call);
    // A trace tells of the rules.
    const denied = refuseRole(call, Role.READER);
    if (denied !== undefined) return denied;
    const privateAttributes = privateAttributesOf(question.snapshot, request.context);
    return explainedAnswer(flag, question, clock, served, call, privateAttributes);
  };
  // Most requests are plain, and making messages of them costs more than to answer them.
  const direct: Handlers["evaluate"]["direct"] = (bytes, call) => {
    const plain = decodeQuestion(bytes);
    if (plain === undefined) return undefined;
    const environment = resolveEnvironment(plain.environment, call);
    if (isRefusal(environment)) return environment;
    const snapshot = head.snapshot(environment);
    if (snapshot === undefined) return environmentNotFound(environment);
    const flag = findFlag(snapshot, plain.flagKey);
    if (isRefusal(flag)) return flag;
    const { context } = plain;
    return answer(flag, { snapshot, context, shown: context }, clock, served, call);
  };
  return Object.assign(fromMessage, { direct });
}

function findFlag(snapshot: Snapshot, key: string): OrRefusal<CompiledFlag> {
  const flag = snapshot.flag(key);
  if (flag !== undefined) return flag;
  return key === "" ? invalidArgument([{ field: "flag_key", description: "is required" }]) : flagNotFound(key);
}

function answer(
  flag: CompiledFlag,
  { snapshot, context, shown }: Question,
  clock: Clock,
  served: ServedCounts | undefined,
  call: Pick<Call, "trace">,
): Encoded<EvaluateResponse> {
  const outcome = flag.select(context, flag.usesNow ? clock.now() : 0);
  served?.add(outcome, snapshot, shown);
  call.trace?.evaluated(outcome, snapshot);
  return answerOf(outcome, snapshot);
}

/** An answer with the trace of how it came about, made for this call. */
function explainedAnswer(
  flag: CompiledFlag,
  { snapshot, context, shown }: Question,
  clock: Clock,
  served: ServedCounts | undefined,
  call: Pick<Call, "trace">,
  privateAttributes: readonly string[],
): EvaluateResponse {
  const now = clock.now();
  const outcome = flag.select(context, now);
  served?.add(outcome, snapshot, shown);
  call.trace?.evaluated(outcome, snapshot);
  const response = toResponse(outcome, snapshot.position.revision);
  response.trace = explain(flag, context, now, { privateAttributes });
  return response;
}

function bulkEvaluate({ head, clock, served }: Evaluation): Handlers["bulkEvaluate"] {
  return (request, call) => {
    const question = toQuestion(head, request, call);
    if (isRefusal(question)) return question;
    const { snapshot, context, shown } = question;
    call.trace?.asked(snapshot);
    const { flagKeys } = request;
    const refusal = refuseFlagKeys(flagKeys);
    if (refusal !== undefined) return refusal;
    const now = clock.now();
    const answers = new BulkAnswers();
    const answerTo = (flag: CompiledFlag): EncodedAnswer => {
      const outcome = flag.select(context, now);
      served?.add(outcome, snapshot, shown);
      return answerOf(outcome, snapshot);
    };
    if (flagKeys.length === 0) {
      for (const flag of snapshot.flags()) if (!answers.add(answerTo(flag))) return responseTooLarge;
    }
    for (const key of flagKeys) {
      const flag = snapshot.flag(key);
      const answer = flag ? answerTo(flag) : new EncodedResponse(unknownFlag(key, snapshot));
      if (!answers.add(answer)) return responseTooLarge;
    }
    return new BulkAnswer(answers.parts, snapshot.position.revision);
  };
}
