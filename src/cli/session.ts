import type { CliIo } from "./cli-io.js";
import type { GlobalOptions } from "./global-options.js";
import { createOutput, type Output } from "./output.js";
import { openRemote, type Remote } from "./remote.js";

/** What one run of a command works with. */
export interface Session {
  readonly io: CliIo;
  readonly options: GlobalOptions;
  readonly output: Output;
  /** Aborts when the command should end: interrupted, or nobody reads its output any more. */
  readonly signal: AbortSignal;
  /** Whether the last call to the server may have changed something, answered or not. */
  mayHaveWritten(): boolean;
  /** The server, connected to at the first call. */
  remote(): Remote;
  close(): void;
}

export function createSession(io: CliIo, options: GlobalOptions, signal: AbortSignal): Session {
  let remote: Remote | undefined;
  return {
    io,
    options,
    output: createOutput(io, options.json),
    signal,
    mayHaveWritten: () => remote?.mayHaveWritten ?? false,
    remote() {
      remote ??= openRemote({
        address: options.address,
        token: options.token,
        author: io.userName,
        signal,
        clock: io.clock,
      });
      return remote;
    },
    close: () => remote?.close(),
  };
}
