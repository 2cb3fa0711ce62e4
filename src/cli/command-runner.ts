import { ConnectError } from "@connectrpc/connect";
import { ExitCode } from "./failure.js";
import { type FieldOptions, toRemoteFailure } from "./remote-failure.js";
import type { Session } from "./session.js";

/** What a command does; nothing returned is exit code 0. */
export type CommandBody<Args extends unknown[]> = (
  session: Session,
  ...args: Args
) => Promise<ExitCode> | Promise<void>;

/** Turns a command's body into an action for commander, within a session. */
export type CommandRunner = <Args extends unknown[]>(
  body: CommandBody<Args>,
  fields?: FieldOptions,
) => (...args: Args) => Promise<void>;

/** Makes the runner of one program run. `finish` is told the exit code. */
export function createCommandRunner(open: () => Session, finish: (exitCode: ExitCode) => void): CommandRunner {
  return (body, fields) =>
    async (...args) => {
      const session = open();
      try {
        const exitCode = await body(session, ...args);
        finish(exitCode ?? ExitCode.done);
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        throw toRemoteFailure(error, {
          address: session.options.address,
          mayHaveWritten: session.mayHaveWritten(),
          fields,
        });
      } finally {
        session.close();
      }
    };
}
