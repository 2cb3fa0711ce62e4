import { systemClock } from "../base/index.js";
import { runWorker, toPort } from "../cluster/index.js";
import { createLogger, toLogLevel } from "./logger.js";

// One worker of `flagwire serve --workers N`, which starts this file as a process of its own.

// Whoever stops a service may send them to all of its processes; here the supervisor says when to end, after it has heard of
// them itself.
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => undefined);
// Nobody reads the log any more: the supervisor finds that out as well, and ends the service.
process.stderr.on("error", () => undefined);

runWorker({
  port: toPort(process),
  clock: systemClock,
  createLog: ({ number, logLevel }) => createLogger(process.stderr, toLogLevel(logLevel)).child({ worker: number }),
  exit: (code) => process.exit(code),
});
