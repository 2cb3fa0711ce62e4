import type { EvaluationService, WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Position, WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { Clock } from "../base/index.js";
import type { Frame, WatchCursor, WatchHub, WatchTarget } from "../watch/index.js";
import { resolveEnvironment } from "./access/permit.js";
import type { ConnectedClient } from "./clients/client-directory.js";
import type { ClientRegistry, ClientStream } from "./clients/client-registry.js";
import { serveCursor } from "./cursor-stream.js";
import { environmentNotFound, invalidArgument } from "./environment.js";
import type { AnswerCursor, Call, ServiceHandlers } from "./handlers.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";
import { Violations } from "./validate/violations.js";

interface WatchParts {
  readonly hub: WatchHub;
  /** Default: nobody asks who is connected. */
  readonly clients?: ClientRegistry;
}

/** The handler of EvaluationService.Watch, whatever the transport. */
export function watchHandler({ hub, clients }: WatchParts): ServiceHandlers<typeof EvaluationService>["watch"] {
  // What every watcher costs: no generator, promise or signal.
  const open = (request: WatchRequest, call: Call, onNews: () => void): OrRefusal<AnswerCursor<WatchResponse>> => {
    const target = toTarget(hub, request, call);
    if (isRefusal(target)) return target;
    call.trace?.watched(target.environment);
    const cursor = hub.open(target, onNews);
    // Those of one update come and go with every poll.
    if (target.once === true || clients === undefined) return new WatchAnswers(cursor, target.once === true);
    return new ListedAnswers(cursor, toClient(request, target, call, clients.clock), clients);
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
  const violations = new Violations();
  violations.text("client_name", request.clientName, 256);
  violations.text("client_version", request.clientVersion, 64);
  if (violations.list.length > 0) return invalidArgument(violations.list);
  if (!hub.has(environment)) return environmentNotFound(environment);
  const { clientName, position, once } = request;
  if (clientName !== "") call.clientName = clientName;
  return { environment, position, once };
}

function toClient(
  { clientName, clientVersion }: WatchRequest,
  { environment, position }: WatchTarget,
  { peer, identity }: Pick<Call, "peer" | "identity">,
  clock: Clock,
): ConnectedClient {
  return {
    clientName,
    clientVersion,
    environment,
    peer,
    revision: position?.revision ?? 0n,
    connectedSinceMs: clock.now(),
    tokenName: identity?.tokenId === undefined ? "" : identity.name,
  };
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

/** The same, of a client that others can see. */
class ListedAnswers extends WatchAnswers implements ClientStream {
  readonly #registry: ClientRegistry;
  readonly #opened: ConnectedClient;
  /** Of the newest update or heartbeat. */
  #sent: Position | undefined;

  constructor(cursor: WatchCursor, opened: ConnectedClient, registry: ClientRegistry) {
    super(cursor, false);
    this.#opened = opened;
    this.#registry = registry;
    registry.add(this);
  }

  get client(): ConnectedClient {
    return this.#sent === undefined ? this.#opened : { ...this.#opened, revision: this.#sent.revision };
  }

  override next(): OrRefusal<Frame> | undefined {
    const frame = super.next();
    if (frame !== undefined && !isRefusal(frame)) this.#sent = positionOf(frame) ?? this.#sent;
    return frame;
  }

  override close(): void {
    this.#registry.remove(this);
    super.close();
  }
}

/** Where the client is once it has taken a frame; undefined where that does not move it. */
function positionOf({ content }: Frame): Position | undefined {
  if (content.kind === "update") return content.commit?.position;
  return content.kind === "heartbeat" ? content.position : undefined;
}
