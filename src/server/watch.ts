import type { EvaluationService, WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { Frame, WatchCursor, WatchHub, WatchTarget } from "../watch/index.js";
import { resolveEnvironment } from "./access/permit.js";
import { serveCursor } from "./cursor-stream.js";
import { environmentNotFound, invalidArgument } from "./environment.js";
import type { AnswerCursor, Call, ServiceHandlers } from "./handlers.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";

/** The handler of EvaluationService.Watch, whatever the transport. */
export function watchHandler({ hub }: { readonly hub: WatchHub }): ServiceHandlers<typeof EvaluationService>["watch"] {
  // What every watcher costs: no generator, promise or signal.
  const open = (request: WatchRequest, call: Call, onNews: () => void): OrRefusal<AnswerCursor<WatchResponse>> => {
    const target = toTarget(hub, request, call);
    return isRefusal(target) ? target : new WatchAnswers(hub.open(target, onNews), target.once === true);
  };
  return serveCursor(open);
}

function toTarget(
  hub: WatchHub,
  request: WatchRequest,
  call: Pick<Call, "clientName" | "identity">,
): OrRefusal<WatchTarget> {
  const environment = resolveEnvironment(request.environment, call);
  if (isRefusal(environment)) return environment;
  if (request.clientName.length > 256) {
    return invalidArgument([{ field: "client_name", description: "is longer than 256 characters" }]);
  }
  if (!hub.has(environment)) return environmentNotFound(environment);
  const { clientName, position, once } = request;
  if (clientName !== "") call.clientName = clientName;
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
