import type { EvaluationService, WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { Frame, WatchCursor, WatchHub, WatchTarget } from "../watch/index.js";
import { environmentNotFound, invalidArgument, resolveEnvironment } from "./environment.js";
import type { AnswerCursor, AnswerStream, ServiceHandlers } from "./handlers.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";

/** The handler of EvaluationService.Watch, whatever the transport. */
export function watchHandler({ hub }: { readonly hub: WatchHub }): ServiceHandlers<typeof EvaluationService>["watch"] {
  async function* frames(
    request: WatchRequest,
    { signal }: { readonly signal: AbortSignal },
  ): AnswerStream<WatchResponse> {
    const target = toTarget(hub, request);
    if (isRefusal(target)) {
      yield target;
      return;
    }
    let isAnswered = false;
    for await (const frame of hub.watch(target, signal)) {
      isAnswered = isUpdate(frame);
      yield frame;
    }
    if (!target.once || !isAnswered) yield streamEnded;
  }
  // What every watcher costs: no generator, promise or signal.
  const open = (request: WatchRequest, _call: unknown, onNews: () => void): OrRefusal<AnswerCursor<WatchResponse>> => {
    const target = toTarget(hub, request);
    return isRefusal(target) ? target : new WatchAnswers(hub.open(target, onNews), target.once === true);
  };
  return Object.assign(frames, { open });
}

function toTarget(hub: WatchHub, request: WatchRequest): OrRefusal<WatchTarget> {
  const environment = resolveEnvironment(request.environment);
  if (request.clientName.length > 256) {
    return invalidArgument([{ field: "client_name", description: "is longer than 256 characters" }]);
  }
  if (!hub.has(environment)) return environmentNotFound(environment);
  const { position, once } = request;
  return { environment, position, once };
}

const streamEnded = new Refusal(
  "UNAVAILABLE",
  "STREAM_ENDED",
  "the stream has ended; reconnect with the last position",
);

/** A goodbye is no answer: it ends the streams of one update as it does all others. */
function isUpdate({ content }: Frame): boolean {
  return content.kind === "update";
}

/** A stream of the hub, which ends with a status that says that it is to be opened again. */
class WatchAnswers implements AnswerCursor<WatchResponse> {
  readonly #cursor: WatchCursor;
  readonly #isOnce: boolean;
  #isAnswered = false;

  constructor(cursor: WatchCursor, isOnce: boolean) {
    this.#cursor = cursor;
    this.#isOnce = isOnce;
  }

  get ended(): boolean {
    return this.#cursor.ended;
  }

  next(): OrRefusal<Frame> | undefined {
    const frame = this.#cursor.next();
    if (frame !== undefined) this.#isAnswered = isUpdate(frame);
    else if (this.ended && !(this.#isOnce && this.#isAnswered)) return streamEnded;
    return frame;
  }

  close(): void {
    this.#cursor.close();
  }
}
