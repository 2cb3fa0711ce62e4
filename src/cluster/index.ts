export { toPort } from "./port.js";
export { runWorker, type WorkerOptions } from "./run-worker.js";
export { openSupervisor, type Supervisor, type SupervisorFailure, type SupervisorOptions } from "./supervisor.js";
