import { PassThrough, Writable } from "node:stream";
import { systemClock } from "../../src/base/index.js";
import type { ExitCode } from "../../src/cli/failure.js";
import { runCli } from "../../src/cli/run-cli.js";

/** What a command printed, and its exit code. */
export interface CliRun {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly userName?: string;
  /** Whether standard error is a terminal. */
  readonly terminal?: boolean;
  /** The error code that every write to standard output fails with. */
  readonly outputError?: string;
}

/** A command that runs in this process. */
export interface RunningCli {
  readonly stdin: PassThrough;
  readonly done: Promise<CliRun>;
  stdout(): string;
  stderr(): string;
  /** As Ctrl-C does. */
  interrupt(): void;
}

/** Runs a command line to its end. Its address may be an option or an environment variable, as for anybody. */
export function runFlagwire(argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  const running = startFlagwire(argv, options);
  running.stdin.end(options.stdin ?? "");
  return running.done;
}

let lastKey = 0;

export function startFlagwire(argv: readonly string[], options: RunOptions = {}): RunningCli {
  const stdout = new Capture(false, options.outputError);
  const stderr = new Capture(options.terminal ?? false);
  const stdin = new PassThrough();
  const interrupt = new AbortController();
  const done = runCli({
    argv,
    env: options.env ?? {},
    stdin,
    stdout,
    stderr,
    signal: interrupt.signal,
    userName: options.userName ?? "ada",
    version: "1.2.3",
    clock: systemClock,
    newIdempotencyKey: () => `test-${process.pid}-${++lastKey}`,
  });
  return {
    stdin,
    done: done.then((exitCode) => ({ exitCode, stdout: stdout.text, stderr: stderr.text })),
    stdout: () => stdout.text,
    stderr: () => stderr.text,
    interrupt: () => interrupt.abort(),
  };
}

class Capture extends Writable {
  text = "";

  constructor(
    readonly isTTY: boolean,
    readonly errorCode?: string,
  ) {
    super();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error) => void): void {
    const code = this.errorCode;
    if (code === undefined) this.text += chunk.toString();
    callback(code === undefined ? undefined : Object.assign(new Error(`${code}: it fails`), { code }));
  }
}
