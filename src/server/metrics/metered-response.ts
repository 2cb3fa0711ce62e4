import type { ServerResponse } from "node:http";
import { toStatusNumber } from "../status.js";
import type { CallMeter } from "./call-meter.js";
import { codeOfHttp } from "./status-codes.js";

// What is counted hangs on the response: the listener that every response has finds it there.
const meterKey = Symbol("meter");
const startedKey = Symbol("started");
type MeteredResponse = ServerResponse & { [meterKey]?: CallMeter | undefined; [startedKey]?: number };

const CANCELLED = toStatusNumber("CANCELLED");

/** Counts a request that begins now. It is over when its response is closed: whoever serves it calls `responseClosed` then. */
export function meterResponse(response: MeteredResponse, meter: CallMeter): void {
  response[meterKey] = meter;
  response[startedKey] = meter.start();
}

/** The response has left, or its client has gone. */
export function responseClosed(response: MeteredResponse): void {
  const meter = response[meterKey];
  if (meter === undefined) return;
  meter.end(response[startedKey] ?? 0, response.writableFinished ? codeOfHttp(response.statusCode) : CANCELLED);
  // Counted once, however often it says that it is closed.
  response[meterKey] = undefined;
}
