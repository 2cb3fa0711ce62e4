import type { Logger } from "pino";
import type { CallMeter } from "../metrics/call-meter.js";
import type { CallMeters } from "../metrics/call-meters.js";
import { codeName, codeOfHttp, OK_CODE } from "../metrics/status-codes.js";
import type { Refusal } from "../refusal.js";
import { type NamedCall, requestIdOf } from "../request-id.js";
import { toStatusNumber } from "../status.js";
import type { CallTrace } from "../tracing/call-trace.js";
import type { TracedMethod } from "../tracing/traced-method.js";

/** What an observer keeps of a call, at the call. */
export interface ObservedCall extends NamedCall {
  /** When it began, on the clock's monotonic time; NaN before that and after its end. */
  startedMs: number;
  /** See Call. */
  trace: CallTrace | undefined;
}

const CANCELLED = toStatusNumber("CANCELLED");

/**
 * Observes the calls of one method by one protocol: counts them, and traces them where that is wanted. It is part of every call, so
 * what a transport has to say of one is said here alone.
 */
export class CallObserver {
  readonly #meter: CallMeter;
  readonly #meters: CallMeters;
  /** Undefined: nothing is traced. */
  readonly #traced: TracedMethod | undefined;
  /** Undefined: calls are not logged. */
  readonly #log: Logger | undefined;

  constructor(meter: CallMeter, meters: CallMeters, traced: TracedMethod | undefined, log: Logger | undefined) {
    this.#meter = meter;
    this.#meters = meters;
    this.#traced = traced;
    this.#log = log;
  }

  /** A call has begun. Its headers can be read. */
  begin(call: ObservedCall): void {
    call.startedMs = this.#meter.start();
    if (this.#traced !== undefined) call.trace = this.#traced.start(call);
  }

  /** A message of a stream has been sent: it is open, which is all that is traced of it. `httpStatus` where it has one of its own. */
  opened(call: ObservedCall, httpStatus?: number): void {
    if (call.trace !== undefined) this.#endTrace(call, call.trace, OK_CODE, undefined, httpStatus);
  }

  /** A call has ended: with a refusal, or well. Only the first end counts. */
  end(call: ObservedCall, refusal: Refusal | undefined): void {
    if (Number.isNaN(call.startedMs)) return;
    if (refusal === undefined) this.#end(call, OK_CODE);
    else {
      this.#meters.refused(refusal);
      this.#end(call, toStatusNumber(refusal.code), refusal.reason);
    }
  }

  /** A call has ended with a status code that no handler gave. */
  endWith(call: ObservedCall, code: number): void {
    if (!Number.isNaN(call.startedMs)) this.#end(call, code);
  }

  /** A call has ended with a status of HTTP; undefined where its client did not take all of the answer. */
  endHttp(call: ObservedCall, status: number | undefined): void {
    if (Number.isNaN(call.startedMs)) return;
    this.#end(call, status === undefined ? CANCELLED : codeOfHttp(status), undefined, status);
  }

  #end(call: ObservedCall, code: number, reason?: string, httpStatus?: number): void {
    this.#meter.end(call.startedMs, code);
    if (this.#log !== undefined) this.#logEnd(this.#log, call, code, reason);
    call.startedMs = Number.NaN;
    if (call.trace !== undefined) this.#endTrace(call, call.trace, code, reason, httpStatus);
  }

  /** Before its trace ends, of which it has its name where it has no other. */
  #logEnd(log: Logger, call: ObservedCall, code: number, reason: string | undefined): void {
    const { service, method, protocol, monotonicMs } = this.#meter;
    const durationMs = Math.round((monotonicMs() - call.startedMs) * 1_000) / 1_000;
    const end = { code: codeName(code), ...(reason !== undefined && { reason }), durationMs };
    log.debug({ method: `${service}/${method}`, protocol, ...end, requestId: requestIdOf(call) }, "a call ended");
  }

  #endTrace(call: ObservedCall, trace: CallTrace, code: number, reason?: string, httpStatus?: number): void {
    this.#traced?.end(trace, call, { code, reason, httpStatus });
    call.trace = undefined;
  }
}
