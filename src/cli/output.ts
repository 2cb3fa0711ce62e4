import { printable } from "../base/index.js";
import type { CliIo, OutputStream } from "./cli-io.js";
import { CliFailure, ExitCode } from "./failure.js";

/** Where a command's answers go. Standard output holds answers only; everything else is a note on standard error. */
export interface Output {
  /** Whether `--json` was given. */
  readonly json: boolean;
  /** A line of an answer. */
  line(text: string): Promise<void>;
  /** Text as it is. */
  raw(text: string): Promise<void>;
  /** The answer as one JSON document, indented. */
  document(value: unknown): Promise<void>;
  /** One JSON document on one line, where a command streams. */
  jsonLine(value: unknown): Promise<void>;
  /** A remark on standard error. */
  note(text: string): void;
}

export function createOutput(io: CliIo, json: boolean): Output {
  const raw = (text: string) => writeAll(io.stdout, text);
  return {
    json,
    raw,
    line: (text) => raw(`${text}\n`),
    document: (value) => raw(`${JSON.stringify(value, undefined, 2)}\n`),
    jsonLine: (value) => raw(`${JSON.stringify(value)}\n`),
    note: (text) => void io.stderr.write(`flagwire: ${printable(text)}\n`),
  };
}

/**
 * Resolves when the text was taken, so that a slow reader slows the command down. A reader that has gone is no error; that
 * the text cannot be kept (a full disk) is.
 */
function writeAll(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error == null || isReaderGone(error)) resolve();
      else reject(toOutputFailure(error));
    });
  });
}

/** Whether a write failed because nobody reads any more (`| head`): an ordinary end. Later writes find the stream destroyed. */
export function isReaderGone(error: Error): boolean {
  return "code" in error && (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED");
}

export function toOutputFailure(error: Error): CliFailure {
  return new CliFailure(ExitCode.refused, `the output cannot be written: ${error.message}`);
}

/** Prints why a command failed. */
export function printFailure(stderr: OutputStream, failure: CliFailure): void {
  const lines = [`flagwire: ${printable(failure.message)}`, ...failure.details.map((line) => `  ${printable(line)}`)];
  stderr.write(`${lines.join("\n")}\n`);
}
