import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { isLoopback } from "../../base/index.js";
import { defaultAddress, parseHostPort } from "../address.js";
import type { CommandRunner } from "../command-runner.js";
import { type ExitCode, usageFailure } from "../failure.js";
import type { Session } from "../session.js";

interface ServeCommandOptions {
  readonly listen: string;
  readonly data: string;
  readonly import?: string;
  readonly workers: string;
  readonly allowAnonymous?: boolean;
}

export function addServeCommand(program: Command, run: CommandRunner): void {
  program
    .command("serve")
    .description("run the service; SIGTERM and Ctrl-C drain it and end it")
    .option("--listen <host:port>", "where to listen; port 0 is any that is free", defaultAddress)
    .option("--data <dir>", "the data directory; created if it is missing", "./data")
    .option("--import <file>", "a file to begin with; imported only while there is nothing else yet")
    .option("--workers <n>", "how many processes answer, 1 to 64; auto: as many as there are cores", "1")
    .option(
      "--allow-anonymous",
      "serve off loopback although no tokens exist: whoever can connect may change everything",
    )
    .action(run(serveCommand));
}

async function serveCommand(session: Session, options: ServeCommandOptions): Promise<ExitCode> {
  const listen = parseHostPort(options.listen, "--listen");
  if (!isLoopback(listen.host) && !options.allowAnonymous) {
    throw usageFailure(
      `--listen ${options.listen} is reachable from other machines and there are no tokens to tell callers apart; listen on ${defaultAddress}, or add --allow-anonymous if the network itself keeps strangers out`,
    );
  }
  const workers = parseWorkers(options.workers);
  // Loads the server and the store's engine, which no other command needs.
  const { serve } = await import("../serve.js");
  return serve(session, { listen, data: options.data, seed: options.import, workers });
}

const maximumWorkers = 64;

function parseWorkers(text: string): number {
  if (text === "auto") return Math.min(availableParallelism(), maximumWorkers);
  const workers = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (workers >= 1 && workers <= maximumWorkers) return workers;
  throw usageFailure(`--workers ${JSON.stringify(text)} is not a number from 1 to ${maximumWorkers}, or auto`);
}
