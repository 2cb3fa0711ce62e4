import { ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { GoodbyeReason, type WatchResponse } from "../../../gen/flagwire/v1/watch_pb.js";
import { backoffDelayMs, printable, systemRandom } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { ExitCode } from "../failure.js";
import { isConnectionLost, isUnavailable, pause } from "../remote.js";
import { refusalReason } from "../remote-failure.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { type WatchEvent, WatchEventReader } from "../watch-events.js";

interface WatchOptions {
  readonly verbose?: boolean;
}

/** Three heartbeats: the server sends one at least every 15 s. */
const silenceMs = 45_000;
const backoff = { minMs: 500, maxMs: 30_000 };

export function addWatchCommand(program: Command, run: CommandRunner): void {
  program
    .command("watch")
    .description("the flags of the environment, then every change, a line an event; Ctrl-C ends it")
    .option("--verbose", "heartbeats too")
    .action(run(watch))
    .addHelpText(
      "after",
      `
When the server ends, restarts or is lost, watch says so on standard error,
connects again for as long as it takes, and goes on where it was: no change is
left out. Only the first connection must succeed (else exit code 3).`,
    );
}

/** Follows the stream until interrupted. The first connection must succeed; later ones are made anew for as long as it takes. */
async function watch(session: Session, options: WatchOptions): Promise<ExitCode> {
  const reader = new WatchEventReader();
  const { address } = session.options;
  let failures = 0;
  let away = false;
  while (!session.signal.aborted) {
    try {
      await followOnce(session, reader, options, () => {
        failures = 0;
        if (away) session.output.note(`connected again to ${address}`);
        away = false;
      });
    } catch (error) {
      if (session.signal.aborted) break;
      if (reader.position === undefined || !(isUnavailable(error) || isConnectionLost(error))) throw error;
      // Once: that it is still away is no news.
      if (!away) session.output.note(`${describeLoss(error, address)}; connecting again until it is back`);
    }
    if (session.signal.aborted) break;
    away = true;
    reader.restart();
    await pause(session.io.clock, backoffDelayMs(failures, backoff, systemRandom), session.signal);
    failures += 1;
  }
  return ExitCode.done;
}

function describeLoss(error: unknown, address: string): string {
  if (isConnectionLost(error)) return `the connection to ${address} was lost`;
  if (refusalReason(error) !== undefined) return `the server at ${address} has ended the stream`;
  const { cause, rawMessage } = ConnectError.from(error);
  return cause === undefined ? rawMessage : `the server at ${address} cannot be reached`;
}

async function followOnce(
  session: Session,
  reader: WatchEventReader,
  options: WatchOptions,
  alive: () => void,
): Promise<void> {
  const remote = session.remote();
  await remote.reach();
  const silence = new AbortController();
  const watchdog = createWatchdog(session, () => silence.abort(new Error("the server has fallen silent")));
  const request = {
    environment: session.options.environment,
    clientName: "flagwire watch",
    ...(reader.position === undefined ? {} : { position: reader.position }),
  };
  const signal = AbortSignal.any([session.signal, silence.signal]);
  try {
    for await (const message of remote.evaluation.watch(request, { signal })) {
      watchdog.reset();
      alive();
      noteGoodbye(session, message);
      const event = reader.read(message);
      if (event !== undefined) await print(session, event, options);
    }
  } catch (error) {
    if (!silence.signal.aborted) throw error;
    session.output.note("the server has fallen silent; connecting again");
  } finally {
    watchdog.stop();
  }
}

function createWatchdog(session: Session, bark: () => void) {
  let stop = session.io.clock.after(silenceMs, bark);
  return {
    reset() {
      stop();
      stop = session.io.clock.after(silenceMs, bark);
    },
    stop: () => stop(),
  };
}

function noteGoodbye(session: Session, { goodbye }: WatchResponse): void {
  if (goodbye === undefined) return;
  session.output.note(`the server ends the stream: ${GoodbyeReason[goodbye.reason]?.toLowerCase() ?? "no reason"}`);
}

async function print(session: Session, event: WatchEvent, { verbose }: WatchOptions): Promise<void> {
  if (event.kind === "heartbeat" && !verbose) return;
  if (session.output.json) return session.output.jsonLine(event);
  await session.output.line(printable(describeEvent(event)));
}

/** Such as `13 delta new-checkout, -old-search, segment beta`. */
export function describeEvent(event: WatchEvent): string {
  const start = `${event.revision} ${event.kind}`;
  if (event.kind === "full") {
    return `${start} ${counted(event.flags.length, "flag")}, ${counted(event.segments.length, "segment")}`;
  }
  const changes = [
    ...event.flags,
    ...event.deletedFlags.map((key) => `-${key}`),
    ...event.segments.map((key) => `segment ${key}`),
    ...event.deletedSegments.map((key) => `-segment ${key}`),
  ];
  return changes.length === 0 ? start : `${start} ${changes.join(", ")}`;
}
