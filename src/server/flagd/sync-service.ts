import type { Logger } from "pino";
import type { Evaluation } from "../evaluation-parts.js";
import type { ServedService } from "../handlers.js";

/** `flagd.sync.v1.FlagSyncService`. */
export function flagdSyncService(_evaluation: Evaluation, _log: Logger): ServedService[] {
  return [];
}
