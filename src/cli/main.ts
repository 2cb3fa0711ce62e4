#!/usr/bin/env node
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { userInfo } from "node:os";
import { systemClock } from "../base/index.js";
import { runCli } from "./run-cli.js";

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    // The first asks for an orderly end; the second is from somebody who will not wait for it.
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  });
}

const exitCode = await runCli({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
  userName: userName(),
  version: packageVersion(),
  clock: systemClock,
  newIdempotencyKey: () => randomUUID(),
});
// All output is written by now. Exiting rather than waiting for the event loop means that no handle can keep us.
process.exit(exitCode);

/** A container's user may have no name in the system's list. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env.USER || process.env.LOGNAME || "unknown";
  }
}

/** Works from a checkout and from the compiled package, whose depths differ. */
function packageVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const found: { name?: string; version?: string } = require(path);
      if (found.name === "flagwire" && found.version !== undefined) return found.version;
    } catch {}
  }
  return "unknown";
}
