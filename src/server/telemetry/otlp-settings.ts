/** Where telemetry goes: an endpoint of OpenTelemetry's protocol over HTTP, such as a collector's. Travels to workers. */
export interface OtlpEndpoint {
  /** Without a user and a slash at its end; each signal has its path below it. */
  readonly url: string;
  /** What to present there, if anything: an `authorization` header. */
  readonly authorization: string | undefined;
}

/** An endpoint for traces. */
export interface OtlpSettings extends OtlpEndpoint {
  /** The share of traces that are recorded, of those that begin here. Undefined: as OTEL_TRACES_SAMPLER says, else all. */
  readonly sample: number | undefined;
}
