import type { Command } from "commander";
import { defaultAddress } from "../address.js";
import type { CommandRunner } from "../command-runner.js";
import { defaultDataDirectory } from "../data-directory.js";
import type { ExitCode } from "../failure.js";
import { defaultFlagdPorts, type GivenServeOptions } from "../serve-options.js";
import type { Session } from "../session.js";

// The defaults are not given to commander: it would not tell an option from its default, and a variable comes between.
export function addServeCommand(program: Command, run: CommandRunner): void {
  const { sync, ofrep } = defaultFlagdPorts;
  program
    .command("serve")
    .description("run the service; SIGTERM and Ctrl-C drain it and end it")
    .option("--listen <host:port>", `where to listen; port 0 is any that is free (default ${defaultAddress})`)
    .option("--data <dir>", `the data directory; created if it is missing (default ${defaultDataDirectory})`)
    .option("--import <file>", "a file to begin with; imported only while there is nothing else yet")
    .option("--workers <n>", "how many processes answer, 1 to 64; auto: as many as there are cores (default 1)")
    .option(
      "--flagd-ports [sync,ofrep]",
      `two more ports, where flagd's clients look for sync and OFREP (without a value: ${sync},${ofrep})`,
    )
    .option("--cors-origins <list>", "origins whose pages may call from a browser, parted by commas; * for all")
    .option(
      "--ofrep-rate-limit <n>",
      "OFREP requests a second from each client address, in each process; 0: any number (default 0)",
    )
    .option(
      "--allow-anonymous",
      "serve off loopback although no tokens exist: whoever can connect may change everything",
    )
    .addHelpText(
      "after",
      `
Each option with a value can come from the environment too, such as --flagd-ports from
FLAGWIRE_FLAGD_PORTS, where "true" stands for the option without a value.`,
    )
    .action(run(serveCommand));
}

async function serveCommand(session: Session, given: GivenServeOptions): Promise<ExitCode> {
  // Loads the server and the store's engine, which no other command needs.
  const { parseServeOptions } = await import("../parse-serve-options.js");
  const options = parseServeOptions(given, session.io.env);
  const { serve } = await import("../serve.js");
  return serve(session, options);
}
