export { createTokenIn } from "./access/create-token-in.js";
export { corsOriginProblem } from "./http/cors-origin.js";
export { type JoinedSource, joinSources } from "./join-sources.js";
export {
  createTcpSource,
  type ListenerStats,
  ListenProblem,
  type ServerAddress,
  type SocketSource,
} from "./listener.js";
export { type FlagwireServer, openServer, type ServerOptions, type ServerStats } from "./open-server.js";
export type { TransportLimits } from "./transport.js";
export { createMemoryUsageLedger, type UsageLedgerLimits } from "./usage/memory-usage-ledger.js";
export type {
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
