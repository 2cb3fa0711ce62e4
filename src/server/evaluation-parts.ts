import type { Clock } from "../base/index.js";
import type { WatchHub } from "../watch/index.js";
import type { Head } from "./state/head.js";
import type { UsageLedger } from "./usage/usage-ledger.js";

/** What handlers that evaluate work with. */
export interface Evaluation {
  readonly head: Head;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly usage: UsageLedger;
}
