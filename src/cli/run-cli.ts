import { CommanderError } from "commander";
import type { CliIo, OutputStream } from "./cli-io.js";
import { createCommandRunner } from "./command-runner.js";
import { CliFailure, ExitCode } from "./failure.js";
import { resolveGlobalOptions } from "./global-options.js";
import { isReaderGone, printFailure, toOutputFailure } from "./output.js";
import { createProgram } from "./program.js";
import { createSession } from "./session.js";

/** Runs one command line to its end and resolves to its exit code. Never rejects, never ends the process. */
export async function runCli(io: CliIo): Promise<ExitCode> {
  const pipe = new AbortController();
  let broken: Error | undefined;
  // The streams report it once, as an event; what comes after the first is its consequence.
  const onError = (error: Error) => {
    broken ??= error;
    pipe.abort();
  };
  io.stdout.on("error", onError);
  io.stderr.on("error", onError);
  const signal = AbortSignal.any([io.signal, pipe.signal]);
  try {
    const outcome = await settle(runProgram(io, signal));
    if (!io.signal.aborted) await flushed(io.stdout);
    if (broken !== undefined) return endBroken(io, broken, outcome);
    if (!(outcome instanceof Error)) return outcome;
    if (io.signal.aborted) return ExitCode.interrupted;
    return fail(io, outcome instanceof CliFailure ? outcome : unexpected(outcome));
  } finally {
    io.stdout.off("error", onError);
    io.stderr.off("error", onError);
  }
}

async function settle(exitCode: Promise<ExitCode>): Promise<ExitCode | Error> {
  try {
    return await exitCode;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Help and complaints are written without waiting, so what became of them is known only now. */
function flushed(stream: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    // The event of a failed write comes a tick after its callback.
    stream.write("", () => void setImmediate(resolve));
  });
}

/** A reader that has gone (`| head`) is an ordinary end; an answer that is lost otherwise is a failure. */
function endBroken(io: CliIo, error: Error, outcome: ExitCode | Error): ExitCode {
  if (!isReaderGone(error)) return fail(io, toOutputFailure(error));
  return outcome instanceof Error ? ExitCode.done : outcome;
}

function fail(io: CliIo, failure: CliFailure): ExitCode {
  printFailure(io.stderr, failure);
  return failure.exitCode;
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

function unexpected(error: Error): CliFailure {
  return new CliFailure(ExitCode.refused, `unexpected failure: ${error.message}`);
}
