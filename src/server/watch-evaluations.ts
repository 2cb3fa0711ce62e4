import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  EvaluationHeartbeatSchema,
  type EvaluationService,
  type WatchEvaluationsRequest,
  type WatchEvaluationsResponse,
  WatchEvaluationsResponseSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason, GoodbyeSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, type Random, systemRandom } from "../base/index.js";
import { type Context, type Snapshot, withoutPrivate } from "../engine/index.js";
import { resolveEnvironment } from "./access/permit.js";
import { BulkAnswers, refuseFlagKeys, responseTooLarge, unknownFlag } from "./bulk-question.js";
import { toContext } from "./context.js";
import { serveCursor } from "./cursor-stream.js";
import { type EncodedAnswer, EncodedResponse } from "./encoded-answer.js";
import { EncodedUpdate } from "./encoded-update.js";
import { environmentNotFound, invalidArgument } from "./environment.js";
import type { Evaluation } from "./evaluation-parts.js";
import type { AnswerCursor, Call, Encoded, ServiceHandlers } from "./handlers.js";
import { answerOf } from "./kept-answers.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";
import { HeadCursor } from "./state/head-cursor.js";
import { AllAnswers, type Answer, type AnswerStep, NamedAnswers, type ToldAnswers } from "./told-answers.js";
import type { ServedCounts } from "./usage/served-counts.js";

/** How long a stream is silent at least, and how much longer at most, so that streams do not speak all at once: under 15 s. */
const SILENCE_MS = 10_000;
const SILENCE_JITTER_MS = 4_000;
/** Of a server that shuts down; give or take a half, so that clients do not come back together. */
const RECONNECT_AFTER_MS = 1_000;

type Message = WatchEvaluationsResponse | Encoded<WatchEvaluationsResponse>;

/** The handler of EvaluationService.WatchEvaluations. */
export function watchEvaluationsHandler(
  { head, clock, served }: Pick<Evaluation, "head" | "clock" | "served">,
  random: Random = systemRandom,
): ServiceHandlers<typeof EvaluationService>["watchEvaluations"] {
  return serveCursor((request, call, onNews) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const told = toQuestion(request, call);
    if (isRefusal(told)) return told;
    const read = (): Snapshot | undefined => head.snapshot(environment);
    if (read() === undefined) return environmentNotFound(environment);
    const { announcements } = head;
    const silenceMs = SILENCE_MS + SILENCE_JITTER_MS * random();
    const cursor = new HeadCursor({ announcements, clock, read, silenceMs }, onNews);
    const shown = withoutPrivate(told.context, request.context?.privateAttributes ?? []);
    return new EvaluationStream({ cursor, told, shown, clock, random, served });
  });
}

/** What is to be answered, of which nothing was told yet. */
function toQuestion(
  { flagKeys, context: message, clientName }: WatchEvaluationsRequest,
  call: Pick<Call, "clientName">,
): OrRefusal<ToldAnswers> {
  if (clientName.length > 256) {
    return invalidArgument([{ field: "client_name", description: "is longer than 256 characters" }]);
  }
  const refusal = refuseFlagKeys(flagKeys);
  if (refusal !== undefined) return refusal;
  const context = toContext(message);
  if (isRefusal(context)) return context;
  if (clientName !== "") call.clientName = clientName;
  return flagKeys.length === 0 ? new AllAnswers(context) : new NamedAnswers(context, flagKeys);
}

const streamEnded = new Refusal("UNAVAILABLE", "STREAM_ENDED", "the stream has ended; open another");

interface StreamParts {
  readonly cursor: HeadCursor<Snapshot>;
  readonly told: ToldAnswers;
  /** The context as others may see it: without what the caller marked as private. */
  readonly shown: Context;
  readonly clock: Clock;
  readonly random: Random;
  readonly served: ServedCounts | undefined;
}

/**
 * One stream of answers. What it tells of is always the snapshot that the head holds when the client takes it, so a slow
 * client skips what came between.
 */
class EvaluationStream implements AnswerCursor<WatchEvaluationsResponse> {
  readonly #parts: StreamParts;
  /** What was told last is of this one, or the same in it. */
  #snapshot: Snapshot | undefined;
  #saidGoodbye = false;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  get ended(): boolean {
    return this.#parts.cursor.ended;
  }

  next(): OrRefusal<Message> | undefined {
    if (this.#saidGoodbye) return streamEnded;
    const { cursor } = this.#parts;
    for (let news = cursor.next(); news !== undefined; news = cursor.next()) {
      if (news.kind === "closing") return this.#goodbye(GoodbyeReason.SHUTDOWN);
      if (news.kind === "gone") return this.#goodbye(GoodbyeReason.ENVIRONMENT_DELETED);
      const message = news.kind === "moved" ? this.#follow(news.now) : this.#afterSilence();
      if (message === undefined) continue;
      cursor.told();
      return message;
    }
    return undefined;
  }

  close(): void {
    this.#parts.cursor.close();
  }

  /** Undefined where no answer is another. */
  #follow(now: Snapshot): OrRefusal<Message> | undefined {
    const { told, shown, clock, served } = this.#parts;
    const step: AnswerStep = { before: this.#snapshot, now, nowMs: clock.now() };
    this.#snapshot = now;
    const full = step.before === undefined;
    const { answers, removed } = told.follow(step);
    if (!full && answers.length === 0 && removed.length === 0) return undefined;
    const encoded = new BulkAnswers();
    for (const answer of answers) {
      if (!encoded.add(encode(answer, now))) return responseTooLarge;
      if (answer.outcome !== undefined) served?.add(answer.outcome, now, shown);
    }
    return new EncodedUpdate({ full, answers: encoded.parts, removed, revision: now.position.revision });
  }

  /** Time has passed, which some answers depend on. */
  #afterSilence(): OrRefusal<Message> | undefined {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return undefined;
    const { revision } = snapshot.position;
    return this.#follow(snapshot) ?? toMessage("heartbeat", create(EvaluationHeartbeatSchema, { revision }));
  }

  #goodbye(reason: GoodbyeReason): Message {
    this.#saidGoodbye = true;
    this.#snapshot = undefined;
    const isShutdown = reason === GoodbyeReason.SHUTDOWN;
    const retryAfter = durationFromMs(Math.floor(RECONNECT_AFTER_MS * (0.5 + this.#parts.random())));
    return toMessage("goodbye", create(GoodbyeSchema, { reason, ...(isShutdown && { retryAfter }) }));
  }
}

type Kind = Exclude<WatchEvaluationsResponse["kind"], { case: undefined }>;

function toMessage<C extends Kind["case"]>(
  name: C,
  value: Extract<Kind, { case: C }>["value"],
): WatchEvaluationsResponse {
  return create(WatchEvaluationsResponseSchema, { kind: { case: name, value } as Kind });
}

function encode({ flagKey, outcome }: Answer, snapshot: Snapshot): EncodedAnswer {
  return outcome === undefined ? new EncodedResponse(unknownFlag(flagKey, snapshot)) : answerOf(outcome, snapshot);
}
