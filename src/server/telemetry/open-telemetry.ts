import type { Logger } from "pino";
import { type Clock, settlesInTime } from "../../base/index.js";
import { type CallTracing, TRACER_NAME } from "../tracing/call-tracing.js";
import { createResource } from "./create-resource.js";
import { loadTraceSdk, TelemetryProblem, type TraceSdk } from "./load-sdk.js";
import type { OtlpSettings } from "./otlp-settings.js";
import { ReportedExporter } from "./reported-exporter.js";
import { traceContext } from "./trace-context.js";

/** Exports what a server records. */
export interface Telemetry {
  /** See ServerOptions. */
  readonly tracing: CallTracing;
  /** Exports what is left, unless that takes too long. Never rejects. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  readonly settings: OtlpSettings;
  /** See ServerOptions. */
  readonly version: string;
  /** The worker's number, where there are several. */
  readonly worker?: number | undefined;
  readonly log: Logger;
  readonly clock: Clock;
  /** Default: imports it. */
  readonly importSdk?: () => Promise<TraceSdk>;
}

/** With the time that calls get to finish it has to fit into what supervisors and service managers wait. */
const FLUSH_TIMEOUT_MS = 1_500;

/**
 * Opens the export of traces, or says what is missing. OpenTelemetry's own variables hold where there is no setting of ours: what
 * is not given here, its SDK reads from them.
 */
export async function openTelemetry(options: TelemetryOptions): Promise<Telemetry | TelemetryProblem> {
  const { settings, version, log, clock } = options;
  const sdk = await loadTraceSdk(options.importSdk);
  if (sdk instanceof TelemetryProblem) return sdk;
  const url = `${settings.url}/v1/traces`;
  const exporter = new sdk.OTLPTraceExporter({
    url,
    ...(settings.authorization !== undefined && { headers: { authorization: settings.authorization } }),
  });
  const reported = new ReportedExporter(exporter, { signal: "traces", url, log, clock });
  const provider = new sdk.BasicTracerProvider({
    resource: createResource(sdk, options),
    // Bounded: at most 2,048 spans wait, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise, and what comes then is lost.
    spanProcessors: [new sdk.BatchSpanProcessor(reported)],
    ...(settings.sample !== undefined && { sampler: createSampler(sdk, settings.sample) }),
  });
  log.info({ url }, "traces are exported");
  return {
    tracing: { tracer: provider.getTracer(TRACER_NAME, version), propagator: traceContext },
    async close() {
      const isDone = await settlesInTime(provider.shutdown(), FLUSH_TIMEOUT_MS, clock);
      if (!isDone) log.warn({ url, withinMs: FLUSH_TIMEOUT_MS }, "traces that were left could not be exported in time");
    },
  };
}

/** Whoever begins a trace decides whether it is recorded. */
function createSampler({ ParentBasedSampler, TraceIdRatioBasedSampler }: TraceSdk, share: number) {
  return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) });
}
