import { createTraceState, isSpanContextValid, type TextMapPropagator, trace } from "@opentelemetry/api";

const TRACE_PARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Reads W3C's trace context (https://www.w3.org/TR/trace-context/). The API has none, and OpenTelemetry's comes in a package that is
 * no direct dependency of those that are asked for.
 */
export const traceContext: Pick<TextMapPropagator, "extract"> = {
  extract(context, carrier, getter) {
    const [version, traceId, spanId, flags, more] = matchOf(getter.get(carrier, "traceparent"));
    if (traceId === undefined || spanId === undefined || flags === undefined) return context;
    // Later versions may say more; the first one does not.
    if (version === "00" && more !== undefined) return context;
    const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
    if (!isSpanContextValid(spanContext)) return context;
    const state = getter.get(carrier, "tracestate");
    const traceState = typeof state === "string" ? { traceState: createTraceState(state) } : {};
    return trace.setSpanContext(context, { ...spanContext, ...traceState });
  },
};

function matchOf(header: string | string[] | undefined): readonly (string | undefined)[] {
  return typeof header === "string" ? (TRACE_PARENT.exec(header)?.slice(1) ?? []) : [];
}
