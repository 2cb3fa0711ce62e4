import type { DescMethod } from "@bufbuild/protobuf";
import type { Clock } from "../../base/index.js";
import type { Refusal, RefusalCode } from "../refusal.js";
import { CallMeter, type MeteredProtocol } from "./call-meter.js";
import { toFamily, toLabelled } from "./metric-definitions.js";
import type { MetricFamily, MetricSample } from "./metric-report.js";
import { codeName } from "./status-codes.js";

/** Refusals for who calls, not for what is asked. */
const OF_ACCESS: ReadonlySet<RefusalCode> = new Set(["UNAUTHENTICATED", "PERMISSION_DENIED"]);

/** HTTP's statuses are three digits. */
const HTTP_STATUSES = 1_000;

/** The calls of one listener, counted by method and protocol. */
export class CallMeters {
  readonly #clock: Clock;
  readonly #meters = new Map<string, CallMeter>();
  /** The reasons are ours, so they are few. */
  readonly #accessRefused = new Map<string, number>();
  readonly #httpResponses = new Float64Array(HTTP_STATUSES);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The meter of a method; always the same one. */
  of(method: DescMethod, protocol: MeteredProtocol): CallMeter {
    const isStream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    return this.named(method.parent.typeName, method.name, protocol, isStream);
  }

  named(service: string, method: string, protocol: MeteredProtocol, isStream: boolean): CallMeter {
    const id = `${service}/${method} ${protocol}`;
    const known = this.#meters.get(id);
    if (known !== undefined) return known;
    const meter = new CallMeter(service, method, protocol, isStream, () => this.#clock.monotonicMs());
    this.#meters.set(id, meter);
    return meter;
  }

  /** Counts a refusal, if it is about who calls. */
  refused({ code, reason }: Refusal): void {
    if (OF_ACCESS.has(code)) this.#accessRefused.set(reason, (this.#accessRefused.get(reason) ?? 0) + 1);
  }

  httpResponded(status: number): void {
    this.#httpResponses[status] = (this.#httpResponses[status] ?? 0) + 1;
  }

  /** Of methods that were never called there is nothing. */
  families(): MetricFamily[] {
    const used = [...this.#meters.values()].filter(({ started }) => started > 0);
    const of = (toSamples: (meter: CallMeter, labels: Labels) => readonly MetricSample[]): MetricSample[] =>
      used.flatMap((meter) => toSamples(meter, labelsOf(meter)));
    const duration = "flagwire_call_duration_seconds";
    return [
      toFamily(
        "flagwire_calls_started_total",
        of(({ started }, labels) => [{ labels, value: started }]),
      ),
      toFamily(
        "flagwire_calls_total",
        of(({ ended }, labels) =>
          Array.from(ended, ([code, value]) => ({ labels: { ...labels, code: codeName(code) }, value })),
        ),
      ),
      toFamily(
        "flagwire_calls_in_flight",
        of(({ inFlight }, labels) => [{ labels, value: inFlight }]),
      ),
      toFamily(
        duration,
        of(({ durations }, labels) => durations?.samples(duration, labels) ?? []),
      ),
      toLabelled(
        "flagwire_http_responses_total",
        "status",
        [...this.#httpResponses.entries()].flatMap(([status, count]) => (count > 0 ? [[String(status), count]] : [])),
      ),
      toLabelled("flagwire_access_refused_total", "reason", this.#accessRefused),
    ];
  }
}

type Labels = Readonly<Record<"service" | "method" | "protocol", string>>;

function labelsOf({ service, method, protocol }: CallMeter): Labels {
  return { service, method, protocol };
}
