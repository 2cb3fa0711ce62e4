import type { Clock } from "../base/index.js";
import type { WatchHub } from "../watch/index.js";
import type { ClientRegistry } from "./clients/client-registry.js";
import type { ReportedContexts } from "./contexts/reported-contexts.js";
import type { Head } from "./state/head.js";
import type { ServedCounts } from "./usage/served-counts.js";
import type { UsageLedger } from "./usage/usage-ledger.js";

/** What handlers that evaluate work with. */
export interface Evaluation {
  readonly head: Head;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly usage: UsageLedger;
  /** Counts what is answered. Default: nothing does. */
  readonly served?: ServedCounts;
  /** Takes the contexts that reports of usage bring. Default: none are wanted. */
  readonly reportedContexts?: ReportedContexts;
  /** Knows who has a stream of changes open. Default: nobody does. */
  readonly clients?: ClientRegistry;
}
