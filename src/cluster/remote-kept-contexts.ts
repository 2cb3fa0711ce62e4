import type { KeptContexts } from "../server/index.js";
import type { Link } from "./link.js";
import type { SupervisorSpeech, WorkerSpeech } from "./messages.js";

/** The contexts that the supervisor keeps, at the other end of a link: those of all workers, in one place. */
export function createRemoteKeptContexts(link: Link<WorkerSpeech, SupervisorSpeech>): KeptContexts {
  return {
    keep: (environment, contexts, sinceMs) => link.ask({ kind: "keep-contexts", environment, contexts, sinceMs }),
    list: (environment) => link.ask({ kind: "list-contexts", environment }),
    count: (environment) => link.ask({ kind: "count-contexts", environment }),
  };
}
