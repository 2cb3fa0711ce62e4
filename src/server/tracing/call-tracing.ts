import { propagation, type TextMapPropagator, type Tracer, type TracerProvider, trace } from "@opentelemetry/api";

/** How calls are traced. */
export interface CallTracing {
  readonly tracer: Tracer;
  /** Finds the caller's span in the headers of a call. */
  readonly propagator: Pick<TextMapPropagator, "extract">;
}

/** What the spans of this package are from. */
export const TRACER_NAME = "flagwire";

/**
 * Tracing by the SDK that the program has registered by OpenTelemetry's API; undefined where it has registered none. Looked at once,
 * because a tracer that does nothing would cost each call something.
 */
export function registeredTracing(version: string): CallTracing | undefined {
  const tracer = delegateOf(trace.getTracerProvider(), version);
  return tracer && { tracer, propagator: propagation };
}

/** The API stands a provider of its own before the registered one, and gives tracers that do nothing as long as there is none. */
function delegateOf(provider: TracerProvider | ProxyProvider, version: string): Tracer | undefined {
  return "getDelegateTracer" in provider
    ? provider.getDelegateTracer(TRACER_NAME, version)
    : provider.getTracer(TRACER_NAME, version);
}

/** Not by its class: the one that is registered may be another copy of the API's. */
interface ProxyProvider {
  getDelegateTracer(name: string, version: string): Tracer | undefined;
}
