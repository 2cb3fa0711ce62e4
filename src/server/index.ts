export type { AnonymousRole } from "./access/anonymous-role.js";
export { type CallerLimits, defaultCallerLimits } from "./access/caller-limits.js";
export type { ClientRole } from "./access/client-roles.js";
export { createTokenIn } from "./access/create-token-in.js";
export type { ClientListing, ClientQuery, ConnectedClient, ListConnectedClients } from "./clients/client-directory.js";
export { joinListings } from "./clients/client-registry.js";
export { type KeptContext, type KeptContexts, noContexts } from "./contexts/kept-contexts.js";
export {
  type EnvironmentsAt,
  environmentsOf,
  type OwnedKeptContexts,
  openKeptContexts,
} from "./contexts/open-kept-contexts.js";
export type { DecisionOptions, DecisionTarget } from "./decisions/open-decision-log.js";
export { corsOriginProblem } from "./http/cors-origin.js";
export { type JoinedSource, joinSources } from "./join-sources.js";
export {
  createTcpSource,
  type ListenerStats,
  ListenProblem,
  type ServerAddress,
  type SocketSource,
} from "./listener.js";
export type { MetricFamily, ProcessReport } from "./metrics/metric-report.js";
export { processMetrics } from "./metrics/process-metrics.js";
export { openServer } from "./open-server.js";
export type { FlagwireServer, ServerStats } from "./running-server.js";
export type { ServerOptions, ServiceSettings } from "./server-options.js";
export { loadLogSdk, loadTraceSdk, TelemetryProblem } from "./telemetry/load-sdk.js";
export { openTelemetry, type Telemetry, type TelemetryOptions } from "./telemetry/open-telemetry.js";
export type { OtlpEndpoint, OtlpSettings } from "./telemetry/otlp-settings.js";
export type { KeyMaterial, KeyMaterialSource } from "./tls/key-material.js";
export { TlsFiles, TlsFilesProblem, type TlsPaths } from "./tls/tls-files.js";
export type { TransportLimits } from "./transport.js";
export { createMemoryUsageLedger, type UsageLedgerLimits } from "./usage/memory-usage-ledger.js";
export { type KeptUsageLedger, openUsageLedger, type UsageLedgerOptions } from "./usage/open-usage-ledger.js";
export type {
  HourlyListing,
  HourlyQuery,
  RecordedUsage,
  Reporter,
  UsageLedger,
  UsageListing,
  UsageQuery,
  UsageReceipt,
  UsageReport,
  VariantCount,
} from "./usage/usage-ledger.js";
export { defaultWebOptions, type WebOptions } from "./web-options.js";
