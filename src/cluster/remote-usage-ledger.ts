import type { UsageLedger } from "../server/index.js";
import type { Link } from "./link.js";
import type { SupervisorSpeech, WorkerSpeech } from "./messages.js";

/** The supervisor's ledger, at the other end of a link: what any worker is told is added up in one place. */
export function createRemoteUsageLedger(link: Link<WorkerSpeech, SupervisorSpeech>): UsageLedger {
  return {
    record: (report) => link.ask({ kind: "record-usage", report }),
    list: (query) => link.ask({ kind: "list-usage", query }),
    listHours: (query) => link.ask({ kind: "list-hourly-usage", query }),
  };
}
