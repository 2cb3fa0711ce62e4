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

type LogSdkPackage = typeof import("@opentelemetry/sdk-logs");
type LogExporter = typeof import("@opentelemetry/exporter-logs-otlp-http");

/** What events are exported with. */
export type LogSdk = Pick<LogSdkPackage, "LoggerProvider"> &
  Pick<LogExporter, "OTLPLogExporter"> &
  Pick<Resources, "defaultResource" | "detectResources" | "envDetector" | "resourceFromAttributes">;

export async function importLogSdk(): Promise<LogSdk> {
  const [sdk, exporter, resources] = await Promise.all([
    import("@opentelemetry/sdk-logs"),
    import("@opentelemetry/exporter-logs-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  return { ...sdk, ...exporter, ...resources };
}

const TRACE_PACKAGES = ["sdk-trace-base", "exporter-trace-otlp-http", "resources"];
const LOG_PACKAGES = ["sdk-logs", "exporter-logs-otlp-http", "api-logs", "resources"];

/** Loads it, or says that it is missing: `importSdk` rejects then as `import` does. */
export function loadTraceSdk(importSdk = importTraceSdk): Promise<TraceSdk | TelemetryProblem> {
  return load("traces", importSdk, TRACE_PACKAGES);
}

/** As `loadTraceSdk`. */
export function loadLogSdk(importSdk = importLogSdk): Promise<LogSdk | TelemetryProblem> {
  return load("decisions", importSdk, LOG_PACKAGES);
}

async function load<T>(
  what: string,
  importSdk: () => Promise<T>,
  names: readonly string[],
): Promise<T | TelemetryProblem> {
  try {
    return await importSdk();
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    const packages = names.map((name) => `@opentelemetry/${name}`).join(" ");
    return new TelemetryProblem(
      `exporting ${what} needs OpenTelemetry's SDK, which is installed apart: npm install ${packages}`,
    );
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";
}
