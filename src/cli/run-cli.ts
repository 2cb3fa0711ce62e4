import { CommanderError } from "commander";
import type { CliIo } from "./cli-io.js";
import { createCommandRunner } from "./command-runner.js";
import { CliFailure, ExitCode } from "./failure.js";
import { resolveGlobalOptions } from "./global-options.js";
import { printFailure } from "./output.js";
import { createProgram } from "./program.js";
import { createSession } from "./session.js";

/** Runs one command line to its end and resolves to its exit code. Never rejects, never ends the process. */
export async function runCli(io: CliIo): Promise<ExitCode> {
  const pipe = new AbortController();
  // A reader that has gone (`| head`) is an ordinary end; the streams report it once, as an event.
  const onGone = () => pipe.abort();
  io.stdout.on("error", onGone);
  io.stderr.on("error", onGone);
  const signal = AbortSignal.any([io.signal, pipe.signal]);
  try {
    return await runProgram(io, signal);
  } catch (error) {
    if (pipe.signal.aborted) return ExitCode.done;
    if (io.signal.aborted) return ExitCode.interrupted;
    const failure = error instanceof CliFailure ? error : unexpected(error);
    printFailure(io.stderr, failure);
    return failure.exitCode;
  } finally {
    io.stdout.off("error", onGone);
    io.stderr.off("error", onGone);
  }
}

async function runProgram(io: CliIo, signal: AbortSignal): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.done;
  const open = () => createSession(io, resolveGlobalOptions(program, io.env), signal);
  const runner = createCommandRunner(open, (code) => {
    exitCode = code;
  });
  const program = createProgram(io, runner);
  try {
    await program.parseAsync(io.argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed it already. Asking for help is no error; leaving out the command is.
    return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  }
  return exitCode;
}

function unexpected(error: unknown): CliFailure {
  const message = error instanceof Error ? error.message : String(error);
  return new CliFailure(ExitCode.refused, `unexpected failure: ${message}`);
}
