import type { DescMethod } from "@bufbuild/protobuf";
import type { Attributes } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { MeteredProtocol } from "../metrics/call-meter.js";
import type { CallMeters } from "../metrics/call-meters.js";
import type { CallTracing } from "../tracing/call-tracing.js";
import { httpConvention, rpcConvention, type SpanConvention, TracedMethod } from "../tracing/traced-method.js";
import { CallObserver } from "./call-observer.js";

/** Makes the observers of one listener's calls. */
export class CallObservers {
  readonly meters: CallMeters;
  readonly #tracing: CallTracing | undefined;
  readonly #server: Attributes;
  readonly #log: Logger | undefined;

  /** `address` is where the server listens. Without `tracing` nothing is traced; calls are logged where `log` is at the level debug. */
  constructor(
    meters: CallMeters,
    address: { readonly host: string; readonly port: number },
    tracing?: CallTracing,
    log?: Logger,
  ) {
    this.meters = meters;
    this.#tracing = tracing;
    this.#log = log?.isLevelEnabled("debug") ? log : undefined;
    const { host, port } = address;
    this.#server = { "server.address": host, ...(port > 0 && { "server.port": port }) };
  }

  of(method: DescMethod, protocol: Exclude<MeteredProtocol, "ofrep">): CallObserver {
    const system = protocol === "connect" ? "connectrpc" : "grpc";
    const convention = rpcConvention(method.parent.typeName, method.name, system);
    return new CallObserver(this.meters.of(method, protocol), this.meters, this.#traced(convention), this.#log);
  }

  /** Of a route of OFREP. `isStream`: it answers with a stream. */
  ofRoute(name: string, httpMethod: string, route: string, isStream: boolean): CallObserver {
    const meter = this.meters.named("ofrep.v1", name, "ofrep", isStream);
    return new CallObserver(meter, this.meters, this.#traced(httpConvention(httpMethod, route)), this.#log);
  }

  #traced(convention: SpanConvention): TracedMethod | undefined {
    return this.#tracing && new TracedMethod(this.#tracing, convention, this.#server);
  }
}
