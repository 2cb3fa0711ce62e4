export { toPort } from "./port.js";
export { runWorker, type WorkerOptions } from "./run-worker.js";
export { openSupervisor } from "./supervisor.js";
export type { Supervisor, SupervisorFailure, SupervisorOptions } from "./supervisor-options.js";
