import { randomUUID } from "node:crypto";
import type { CallTrace } from "./tracing/call-trace.js";

/** A call that its client may have named. */
export interface NamedCall {
  header(name: string): string | undefined;
  /** See requestIdOf. */
  requestId: string | undefined;
  /** See Call. */
  readonly trace?: Pick<CallTrace, "traceId"> | undefined;
}

/** Under which name an id travels, there and back. */
export const REQUEST_ID_HEADER = "x-request-id";

const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;
const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/**
 * What a call is called in the log and in the answer that tells an error: the client's `x-request-id`, else the trace of its
 * `traceparent`, where these are well formed; else that of its own span, where it is traced; else made. Nothing is looked at or made
 * before somebody asks.
 */
export function requestIdOf(call: NamedCall): string {
  call.requestId ??= givenRequestId(call) ?? call.trace?.traceId ?? randomUUID();
  return call.requestId;
}

/** What the client calls its call; undefined where it says nothing. */
export function givenRequestId(call: Pick<NamedCall, "header">): string | undefined {
  const given = call.header(REQUEST_ID_HEADER);
  if (given !== undefined && REQUEST_ID.test(given)) return given;
  const parent = call.header("traceparent");
  return parent === undefined ? undefined : TRACE_PARENT.exec(parent)?.[1];
}
