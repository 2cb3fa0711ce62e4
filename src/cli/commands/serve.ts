import type { Command } from "commander";
import { defaultAddress } from "../address.js";
import type { CommandRunner } from "../command-runner.js";
import { findSwitches } from "../config/find-switches.js";
import { settingShapesOf } from "../config/setting-shape.js";
import { defaultDataDirectory } from "../data-directory.js";
import { ExitCode } from "../failure.js";
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
    .option("--token-rate-limit <n>", "calls a second with each token, in each process; 0: any number (default 0)")
    .option("--token-streams <n>", "streams at a time with each token, in each process; 0: any number (default 10000)")
    .option("--tls-cert <file>", "speak TLS with this certificate, in PEM; read again when it changes")
    .option("--tls-key <file>", "the certificate's private key, in PEM")
    .option("--tls-client-ca <file>", "ask clients for certificates that these authorities, in PEM, have signed")
    .option(
      "--tls-client-roles <list>",
      "what their holders may do: name=role[@environment,environment], parted by commas",
    )
    .option("--otlp <url>", "export traces to this endpoint of OpenTelemetry's protocol, such as http://127.0.0.1:4318")
    .option(
      "--otlp-sample <share>",
      "of the traces that begin here, how many are recorded, from 0 to 1; all, unless OTEL_TRACES_SAMPLER says otherwise",
    )
    .option(
      "--allow-anonymous",
      "serve off loopback although no tokens exist: whoever can connect may change everything, or has --anonymous-role",
    )
    .option(
      "--anonymous-role <role>",
      "what callers may do who present nothing where others need a token: evaluator or reader, such as reader@production",
    )
    .option(
      "--drain-delay <seconds>",
      "how long to answer on SIGTERM while already reporting not to be ready, for balancers to notice (default 0)",
    )
    .option(
      "--decisions <file-or-url>",
      "write the server's answers out, one by one: as lines of JSON at the end of a file, or to an OTLP endpoint",
    )
    .option("--decisions-sample <share>", "of how many of them, such as 0.01 (default 1)")
    .option("--log-level <level>", "error, warn, info, or debug, which has a line for every call (default info)")
    .option("--config <file>", "a file of settings in YAML or JSON, with these options' names as its keys")
    .option("--print-config", "print every setting in force and where it comes from, as such a file, and end")
    .addHelpText(
      "after",
      `
Each option can come from the environment too, such as --flagd-ports from
FLAGWIRE_FLAGD_PORTS, where "true" stands for the option without a value. An
option goes before its variable, and both go before the file.`,
    )
    .action(run(serveCommand));
}

interface Given extends GivenServeOptions {
  readonly config?: string;
  readonly printConfig?: boolean;
}

async function serveCommand(session: Session, given: Given, command: Command): Promise<ExitCode> {
  const shapes = settingShapesOf(command);
  // These load YAML, the server and the store's engine, which no other command needs.
  const { readConfigFile } = await import("../config/read-config-file.js");
  const file = await readConfigFile(session, given.config, shapes);
  const { parseServeOptions } = await import("../parse-serve-options.js");
  const switches = findSwitches(shapes, session.io.env, file);
  const options = parseServeOptions({ ...switches, ...given }, session.io.env, file);
  if (given.printConfig) {
    const { printConfig } = await import("../config/print-config.js");
    await printConfig(session.output, { shapes, given: { ...given }, env: session.io.env, file });
    return ExitCode.done;
  }
  const { serve } = await import("../serve.js");
  return serve(session, options);
}
