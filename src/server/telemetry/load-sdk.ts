/** Why telemetry cannot be exported. */
export class TelemetryProblem {
  constructor(
    /** One line, for people: what is wrong and what to do. */
    readonly message: string,
  ) {}
}

type Sdk = typeof import("@opentelemetry/sdk-trace-base");
type TraceExporter = typeof import("@opentelemetry/exporter-trace-otlp-http");
type Resources = typeof import("@opentelemetry/resources");

/** What traces are exported with. */
export type TraceSdk = Pick<
  Sdk,
  "BasicTracerProvider" | "BatchSpanProcessor" | "ParentBasedSampler" | "TraceIdRatioBasedSampler"
> &
  Pick<TraceExporter, "OTLPTraceExporter"> &
  Pick<Resources, "defaultResource" | "detectResources" | "envDetector" | "resourceFromAttributes">;

/** OpenTelemetry's SDK is large, most servers do without, and so it is not installed with this package. */
export async function importTraceSdk(): Promise<TraceSdk> {
  const [sdk, exporter, resources] = await Promise.all([
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  return { ...sdk, ...exporter, ...resources };
}

const TRACE_PACKAGES = [
  "@opentelemetry/sdk-trace-base",
  "@opentelemetry/exporter-trace-otlp-http",
  "@opentelemetry/resources",
];

/** Loads it, or says that it is missing: `importSdk` rejects then as `import` does. */
export async function loadTraceSdk(importSdk = importTraceSdk): Promise<TraceSdk | TelemetryProblem> {
  try {
    return await importSdk();
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    return new TelemetryProblem(
      `exporting traces needs OpenTelemetry's SDK, which is installed apart: npm install ${TRACE_PACKAGES.join(" ")}`,
    );
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";
}
