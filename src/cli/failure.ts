/**
 * 0 done, 1 the answer is no, 2 usage, 3 the server refused or cannot be reached, 130 interrupted. Scripts rely on these
 * numbers.
 */
export const ExitCode = { done: 0, no: 1, usage: 2, refused: 3, interrupted: 130 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends a command: thrown anywhere below, printed and turned into an exit code once, in `runCli`. */
export class CliFailure extends Error {
  override readonly name = "CliFailure";

  constructor(
    readonly exitCode: ExitCode,
    /** One line: what is wrong and what to do next. */
    message: string,
    /** Further lines, printed indented. */
    readonly details: readonly string[] = [],
  ) {
    super(message);
  }
}

export function usageFailure(message: string, details: readonly string[] = []): CliFailure {
  return new CliFailure(ExitCode.usage, message, details);
}
