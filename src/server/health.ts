import { create } from "@bufbuild/protobuf";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { type AnswerStream, type Call, type ServedService, serveService } from "./handlers.js";
import { Refusal } from "./refusal.js";

export type Serving = "serving" | "not-serving";

/** Whether the server, and each of its services, takes calls. Starts as not serving. */
export interface HealthState {
  /** The state of a service by its full name; of the whole server by the empty name. */
  get(service: string): Serving | undefined;
  /** Also tells about this service, from the state of the whole server on. */
  add(service: string): void;
  /** Sets the state of one service, or of the whole server and every service. */
  set(serving: Serving, service?: string): void;
  /** Calls `listener` after every change, and at the end. */
  subscribe(listener: () => void): () => void;
  /** Ends what watches: the server is going away. */
  end(): void;
  readonly ended: boolean;
}

export function createHealthState(): HealthState {
  const states = new Map<string, Serving>([["", "not-serving"]]);
  const listeners = new Set<() => void>();
  const notify = () => {
    for (const listener of listeners) listener();
  };
  let ended = false;
  return {
    get: (service) => states.get(service),
    add(service) {
      if (states.has(service)) return;
      states.set(service, states.get("") ?? "not-serving");
      notify();
    },
    set(serving, service) {
      for (const name of service === undefined ? [...states.keys()] : [service]) states.set(name, serving);
      notify();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    end() {
      ended = true;
      notify();
    },
    get ended() {
      return ended;
    },
  };
}

/** `grpc.health.v1.Health` of this state. */
export function createHealthService(health: HealthState): ServedService {
  return serveService(Health, {
    check({ service }) {
      const serving = health.get(service);
      if (serving === undefined) return new Refusal("NOT_FOUND", "SERVICE_NOT_FOUND", `there is no service ${service}`);
      return toResponse(serving);
    },
    watch: ({ service }, call) => watch(health, service, call),
  });
}

/** The state now, then every change that the client has not overtaken; ends when the server goes away. */
async function* watch(health: HealthState, service: string, call: Call): AnswerStream<HealthCheckResponse> {
  let sent: Serving | "unknown" | undefined;
  for (;;) {
    const serving = health.get(service) ?? "unknown";
    if (serving !== sent) {
      sent = serving;
      yield toResponse(serving);
      continue;
    }
    if (health.ended) yield new Refusal("UNAVAILABLE", "SHUTTING_DOWN", "the server is shutting down");
    if (health.ended || call.signal.aborted) return;
    await changed(health, call.signal);
  }
}

/** Waits for the next change, or for the call to be aborted. Nothing can change between a check and this call. */
function changed(health: HealthState, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      unsubscribe();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const unsubscribe = health.subscribe(done);
    signal.addEventListener("abort", done);
  });
}

const STATUSES = {
  serving: ServingStatus.SERVING,
  "not-serving": ServingStatus.NOT_SERVING,
  unknown: ServingStatus.SERVICE_UNKNOWN,
} as const;

function toResponse(serving: Serving | "unknown"): HealthCheckResponse {
  return create(HealthCheckResponseSchema, { status: STATUSES[serving] });
}
