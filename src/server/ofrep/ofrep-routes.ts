import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock, Random } from "../../base/index.js";
import type { Snapshot } from "../../engine/index.js";
import type { Gate } from "../access/gate.js";
import type { Identity } from "../access/identity.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import { nameResponse } from "../http/name-response.js";
import type { CallObserver } from "../observe/call-observer.js";
import { observeResponse, responseOpened } from "../observe/observed-response.js";
import { isRefusal, type OrRefusal, type Refusal } from "../refusal.js";
import { reportStalled } from "../report-stalled.js";
import { selectedEnvironment } from "../selected-environment.js";
import type { Head } from "../state/head.js";
import { refusalOfThrown } from "../status.js";
import type { HttpRoutes, TransportOptions } from "../transport.js";
import type { ServedCounts } from "../usage/served-counts.js";
import { bulkBody } from "./bulk-body.js";
import { hasEntityTag, toEntityTag } from "./entity-tag.js";
import { EventStream } from "./event-stream.js";
import { FlagConfigs, isSameConfig, revisionOf } from "./flag-configs.js";
import { OfrepCall } from "./ofrep-call.js";
import { textOf } from "./outcome-text.js";
import { readBody } from "./read-body.js";
import { readContext } from "./read-context.js";
import { RequestRates } from "./request-rates.js";
import { sendJson, sendMethodNotAllowed, sendProblem, sendRefusal } from "./responses.js";
import { EVENTS_PATH, FLAGS_PATH, type OfrepTarget, queryParameter, toOfrepTarget } from "./target.js";
import { untilRevision } from "./until-revision.js";

/** What OFREP answers with. */
export interface OfrepParts {
  readonly head: Head;
  readonly gate: Gate;
  /** See Evaluation. */
  readonly served?: ServedCounts;
  readonly clock: Clock;
  readonly random: Random;
  /** See WebOptions.ofrepRequestsPerSecond. */
  readonly requestsPerSecond: number;
}

/** What a ticket of ours is for. */
const EVENTS_PURPOSE = "ofrep-events";

/** How long a client that has heard of a newer revision than this process waits for it, in milliseconds. */
const BEHIND_TIMEOUT_MS = 1_000;

/** OpenFeature's remote evaluation protocol, version 0.3: https://github.com/open-feature/protocol */
export function createOfrepRoutes(parts: OfrepParts, transport: TransportOptions): HttpRoutes {
  const routes = new OfrepRoutes(parts, transport);
  return (request, response) => {
    const target = toOfrepTarget(request.url ?? "");
    if (target !== undefined) routes.answer(target, request, response);
    return target !== undefined;
  };
}

class OfrepRoutes {
  readonly #parts: OfrepParts;
  readonly #transport: TransportOptions;
  readonly #rates: RequestRates | undefined;
  readonly #configs: FlagConfigs;
  readonly #observers: Readonly<Record<OfrepTarget["kind"], CallObserver>>;

  constructor(parts: OfrepParts, transport: TransportOptions) {
    const { head, clock, requestsPerSecond } = parts;
    this.#parts = parts;
    this.#transport = transport;
    this.#rates = requestsPerSecond > 0 ? new RequestRates({ perSecond: requestsPerSecond, clock }) : undefined;
    this.#configs = new FlagConfigs(head, clock);
    const { observers } = transport;
    this.#observers = {
      flag: observers.ofRoute("flag", "POST", `${FLAGS_PATH}/{key}`, false),
      all: observers.ofRoute("all", "POST", FLAGS_PATH, false),
      events: observers.ofRoute("events", "GET", EVENTS_PATH, true),
    };
  }

  answer(target: OfrepTarget, request: IncomingMessage, response: ServerResponse): void {
    const method = target.kind === "events" ? "GET" : "POST";
    if (request.method !== method) {
      sendMethodNotAllowed(request, response, method);
      return;
    }
    const call = new OfrepCall(request);
    observeResponse(response, this.#observers[target.kind], call);
    const waitMs = this.#rates?.take(request.socket.remoteAddress ?? "") ?? 0;
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1_000);
      sendProblem(response, 429, `too many requests; try again in ${seconds} s`, { "retry-after": String(seconds) });
      return;
    }
    const identity = this.#identify(call, target);
    if (isRefusal(identity)) {
      this.#transport.observers.meters.refused(identity);
      sendRefusal(response, identity, target);
      return;
    }
    call.identity = identity;
    const refusal = this.#parts.gate.refuseCall(identity);
    if (refusal !== undefined) {
      sendRefusal(response, refusal, target);
      return;
    }
    const environment = environmentOf(call, target);
    if (isRefusal(environment)) {
      this.#transport.observers.meters.refused(environment);
      sendRefusal(response, environment, target);
    } else if (target.kind === "events") this.#openEvents(target, environment, call, request, response);
    else this.#readQuestion(target, environment, call, request, response);
  }

  /** A browser's stream of events can carry no header: it comes with the ticket that an answer gave it. */
  #identify(call: OfrepCall, { kind, query }: OfrepTarget): OrRefusal<Identity> {
    const { gate } = this.#parts;
    const ticket = kind === "events" ? queryParameter(query, "ticket") : undefined;
    if (ticket === undefined) return gate.identify(call);
    return gate.identifyTicket(ticket, EVENTS_PURPOSE, queryParameter(query, "environment") ?? "");
  }

  #readQuestion(
    target: OfrepTarget & { readonly kind: "flag" | "all" },
    environment: string,
    call: OfrepCall,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") {
      sendProblem(response, 415, "the body is compressed; send it as it is", { connection: "close" });
      return;
    }
    const { maxMessageBytes } = this.#transport.limits;
    readBody(request, maxMessageBytes, (body) => {
      if (body === undefined) {
        const details = `the body has more than ${maxMessageBytes} bytes`;
        sendProblem(response, 413, details, { connection: "close" });
        return;
      }
      const answer = (): void => {
        try {
          if (target.kind === "flag") this.#answerOne(target, environment, call, body, response);
          else this.#answerAll(target, environment, call, body, request, response);
          this.#boundWriting(call, request, response);
        } catch (thrown) {
          this.#fail(thrown, target, response);
        }
      };
      const { head, clock } = this.#parts;
      const heardOf = target.kind === "all" ? queryParameter(target.query, "flagConfigEtag") : undefined;
      const revision = heardOf === undefined ? undefined : revisionOf(heardOf, head.epoch);
      if (revision === undefined || revision <= head.revision) answer();
      else void untilRevision(head, revision, clock, BEHIND_TIMEOUT_MS).then(answer);
    });
  }

  #answerOne(
    target: OfrepTarget & { readonly kind: "flag" },
    environment: string,
    call: OfrepCall,
    body: Buffer,
    response: ServerResponse,
  ): void {
    const { head, clock, served } = this.#parts;
    const { key } = target;
    const context = readContext(body);
    const snapshot = head.snapshot(environment);
    const flag = key === undefined ? undefined : snapshot?.flag(key);
    if (isRefusal(context)) sendRefusal(response, context, target);
    else if (snapshot === undefined || flag === undefined)
      sendRefusal(response, refuseFlag(key, environment, snapshot), target);
    else {
      const outcome = flag.select(context, flag.usesNow ? clock.now() : 0);
      served?.add(outcome, snapshot, context);
      call.trace?.evaluated(outcome, snapshot);
      const { status, json, sizeBytes } = textOf(outcome);
      sendJson(response, status, json, sizeBytes);
    }
  }

  #answerAll(
    target: OfrepTarget & { readonly kind: "all" },
    environment: string,
    call: OfrepCall,
    body: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { head, clock, gate, served } = this.#parts;
    const ticket = call.identity && gate.ticketFor(call.identity, EVENTS_PURPOSE, environment);
    const context = readContext(body);
    if (isRefusal(context)) {
      sendRefusal(response, context, target);
      return;
    }
    const snapshot = head.snapshot(environment);
    if (snapshot !== undefined) call.trace?.asked(snapshot);
    const answers = snapshot && bulkBody(snapshot, context, clock, served, ticket);
    if (answers === undefined || isRefusal(answers)) {
      sendRefusal(response, answers ?? environmentNotFound(environment), target);
      return;
    }
    const etag = toEntityTag(answers);
    const known = request.headers["if-none-match"];
    const heardOf = queryParameter(target.query, "flagConfigEtag");
    // A client that has heard of another state than this wants an answer, whatever it has.
    const mayKeep = heardOf === undefined || isSameConfig(heardOf, this.#configs.of(environment)?.tag ?? "");
    if (mayKeep && known !== undefined && hasEntityTag(known, etag)) {
      response.writeHead(304, { etag, "cache-control": "no-store" });
      response.end();
    } else sendJson(response, 200, answers, answers.byteLength, etag);
  }

  #openEvents(
    target: OfrepTarget,
    environment: string,
    call: OfrepCall,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { clock, random, gate } = this.#parts;
    const { identity } = call;
    if (this.#configs.of(environment) === undefined) {
      sendRefusal(response, environmentNotFound(environment), target);
      return;
    }
    const leave = identity === undefined ? undefined : gate.openStream(identity);
    if (isRefusal(leave)) {
      sendRefusal(response, leave, target);
      return;
    }
    if (leave !== undefined) response.once("close", leave);
    const { stallTimeoutMs } = this.#transport.limits;
    const lastEventId = call.header("last-event-id");
    const onStalled = (): void => this.#cutOff(call, "OFREP events", request, response);
    const configs = this.#configs;
    const access = { isAdmitted: () => identity !== undefined && gate.admits(identity), onChange: gate.onChange };
    new EventStream({ configs, environment, lastEventId, access, clock, random, stallTimeoutMs, onStalled }, response);
    responseOpened(response);
  }

  /** Bounds how long the client may take for an answer that was sent. Most are gone at once. */
  #boundWriting(call: OfrepCall, request: IncomingMessage, response: ServerResponse): void {
    if (response.writableLength === 0) return;
    const onStalled = (): void => this.#cutOff(call, "OFREP", request, response);
    response.once("close", this.#parts.clock.after(this.#transport.limits.stallTimeoutMs, onStalled));
  }

  #cutOff(call: OfrepCall, method: string, { socket }: IncomingMessage, response: ServerResponse): void {
    reportStalled({ peer: call.peer, requestId: nameResponse(response) }, method, this.#transport);
    socket.destroy();
  }

  #fail(thrown: unknown, target: OfrepTarget, response: ServerResponse): void {
    const named = { header: () => undefined, requestId: nameResponse(response) };
    const refusal = refusalOfThrown(thrown, "OFREP", this.#transport.log, named);
    if (response.headersSent) response.destroy();
    else sendRefusal(response, refusal, target);
  }
}

/** By header, as flagd's services, or in the query `environment`, for clients that cannot send headers. */
function environmentOf(call: OfrepCall, { kind, query }: OfrepTarget): OrRefusal<string> {
  // A ticket is for the environment beside it alone.
  if (kind === "events" && queryParameter(query, "ticket") !== undefined) {
    return resolveEnvironment(queryParameter(query, "environment") ?? "", call);
  }
  const selected = selectedEnvironment(call);
  if (selected !== undefined) return selected;
  return resolveEnvironment(queryParameter(query, "environment") ?? "", call);
}

function refuseFlag(key: string | undefined, environment: string, snapshot: Snapshot | undefined): Refusal {
  if (snapshot === undefined) return environmentNotFound(environment);
  if (key !== undefined) return flagNotFound(key);
  return invalidArgument([{ field: "key", description: "is not percent-encoded UTF-8" }]);
}
