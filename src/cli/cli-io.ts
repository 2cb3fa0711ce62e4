import type { Readable, Writable } from "node:stream";
import type { Clock } from "../base/index.js";

/** A text stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean | undefined };

/** Everything that a command may touch of its process. `main.ts` fills it in; tests bring their own. */
export interface CliIo {
  /** The arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Aborts when the command should end: Ctrl-C, SIGTERM. */
  readonly signal: AbortSignal;
  /** Who is recorded in history as the author. */
  readonly userName: string;
  readonly version: string;
  readonly clock: Clock;
  /** A new random name for a write, so that repeating it is harmless. */
  readonly newIdempotencyKey: () => string;
}
