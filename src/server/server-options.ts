import type { Logger } from "pino";
import type { Clock, Random } from "../base/index.js";
import type { Store } from "../store/index.js";
import type { WatchLimits } from "../watch/index.js";
import type { AnonymousRole } from "./access/anonymous-role.js";
import type { CallerLimits } from "./access/caller-limits.js";
import type { ClientRole } from "./access/client-roles.js";
import type { ListConnectedClients } from "./clients/client-directory.js";
import type { KeptContexts } from "./contexts/kept-contexts.js";
import type { DecisionOptions } from "./decisions/open-decision-log.js";
import type { SocketSource } from "./listener.js";
import type { ProcessReport } from "./metrics/metric-report.js";
import type { FlagwireServer } from "./running-server.js";
import type { KeyMaterialSource } from "./tls/key-material.js";
import type { CallTracing } from "./tracing/call-tracing.js";
import type { TransportLimits } from "./transport.js";
import type { UsageLedger } from "./usage/usage-ledger.js";
import type { WebOptions } from "./web-options.js";

/** What is the same for every process of a service. Plain data: it travels to workers as it is. */
export interface ServiceSettings {
  /** Whether callers from other machines may do everything, or what `anonymousRole` says, as long as there is no token. Default false. */
  readonly allowAnonymous?: boolean;
  /** What callers with nothing may do, where a token or a certificate is needed. Default: nothing. */
  readonly anonymousRole?: AnonymousRole | undefined;
  /** What holders of certificates may do, by names on them; with these nobody comes in with nothing, but for `anonymousRole`. Default none. */
  readonly clientRoles?: readonly ClientRole[];
  /** Default: see CallerLimits. */
  readonly callers?: Partial<CallerLimits> | undefined;
  /** A token that does everything and is kept nowhere: what the service presents to itself. Default none. */
  readonly ownToken?: string | undefined;
  /** Default: see WebOptions. */
  readonly web?: Partial<WebOptions>;
  /** What of the answers of this process is written out, one by one. Default: nothing. */
  readonly decisions?: DecisionOptions | undefined;
  /** What runs, for metrics and traces. Default `unknown`. */
  readonly version?: string;
}

/** What a server is made of. It does not own the store: close that after the server has stopped. */
export interface ServerOptions extends ServiceSettings {
  readonly store: Store;
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where connections come from. Default: TCP, at `listen`. */
  readonly source?: SocketSource;
  readonly log: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: the runtime's. */
  readonly random?: Random;
  /** Default: see TransportLimits. */
  readonly limits?: Partial<TransportLimits>;
  /** Default: see WatchLimits. */
  readonly watch?: Partial<WatchLimits>;
  /** What to speak TLS with. Default: clear text. */
  readonly tls?: KeyMaterialSource | undefined;
  /** Where usage is added up. Default: beside the log of the store, or in memory where that is not this process's own. */
  readonly usage?: UsageLedger;
  /** Where contexts are kept. Default: beside the log of the store; nowhere where that is not this process's own. */
  readonly contexts?: KeptContexts;
  /** Tells who is connected, of all processes that serve the store. Default: only of this one. */
  readonly listClients?: ListConnectedClients;
  /** Where the data are, for what is free there. Default: not known. */
  readonly dataDirectory?: string;
  /** How calls are traced. Default: by the SDK that the program has registered by OpenTelemetry's API; without one, not at all. */
  readonly tracing?: CallTracing | undefined;
  /** What all processes of the service count, this one included. Default: this one only. */
  readonly gatherMetrics?: () => Promise<readonly ProcessReport[]>;
  /**
   * Done once calls are answered but before the server reports that it serves, such as an import of the first flags. If it
   * rejects, opening stops the server and rejects too. Default: nothing.
   */
  readonly prepare?: (server: FlagwireServer) => Promise<void>;
}
